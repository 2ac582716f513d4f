"""`pytest --skipstone`: a section in the report of a test that fails in a network."""

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import torch
from failing_networks import Overwriting, Widening
def test_forward():
    Widening()(torch.zeros(2, 3, 6, 6))
def test_backward():
    net = Overwriting()
    net(torch.ones(2, 4)).sum().backward()
def test_other():
    assert 1 == 2
"""


def test_the_option_explains_failing_tests_and_only_when_asked(pytester: pytest.Pytester):
    pytester.makepyfile(TESTS)
    explained = pytester.runpytest_inprocess("--skipstone")
    explained.assert_outcomes(failed=3)
    text = explained.stdout.str()
    assert text.count("- skipstone -") == 2
    assert "SK101" in text
    assert "SK109" in text
    silent = pytester.runpytest_inprocess()
    assert "SK101" not in silent.stdout.str()
