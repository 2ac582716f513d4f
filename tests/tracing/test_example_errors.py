"""Inputs that are no inputs: one line that names the value and what is right. Whole numbers of numpy's are sizes."""

import numpy as np
import pytest
import torch
from torch import nn

from skipstone import check, legal_sizes
from skipstone.core.errors import SkipstoneError
from skipstone.tracing.example import parse_example

WRONG = {
    "fractions": ((2.0, 3.0), "shape (2.0, 3.0) has the size 2.0; every size must be a whole number"),
    "a truth": ((2, True), "shape (2, True) has the size True; every size must be a whole number"),
    "more than a tensor holds": (
        (2, 3, 10**12, 10**12), "shape (2, 3, 1000000000000, 1000000000000) holds more numbers than any tensor can"
    ),
    "more than a number holds": ((2, 10**30), f"shape (2, {10**30}) holds more numbers than any tensor can"),
    "an array": (np.zeros((2, 3, 8, 8)), "example input array([[[[0., 0., 0., 0., 0., 0., 0., 0.], is not understood"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs(name):
    given, words = WRONG[name]
    with pytest.raises(SkipstoneError) as error:
        parse_example(given)
    assert str(error.value).startswith(words)
    assert "\n" not in str(error.value)


def test_numpy_s_whole_numbers_are_sizes():
    sizes = tuple(np.array([2, 3, 8, 8]))
    assert parse_example(sizes).args[0].shape == (2, 3, 8, 8)
    assert legal_sizes(nn.Linear(3, 3), (*sizes[:1], "h", sizes[1]), h=range(1, 3), run=False).rule == "every h"


@pytest.mark.parametrize(
    ("inputs", "ranges", "words"),
    [
        ((2, 3, "h", 8.5), {}, r"shape \(2, 3, 'h', 8.5\) has the size 8.5"),
        ((2, 3, "seconds", 8), {"seconds": range(1, 5)}, r"seconds is range\(1, 5\), expected a number"),
        ((2, 3, "budget", 8), {}, "a free axis cannot be named budget"),
    ],
)
def test_wrong_questions_about_sizes(inputs, ranges, words):
    with pytest.raises(SkipstoneError, match=words):
        legal_sizes(nn.Conv2d(3, 3, 1), inputs, **ranges)


def test_one_code_is_a_text():
    assert not check(nn.Linear(3, 3), (2, 3), select="SK1", run=False).findings


def test_a_tensor_of_too_few_axes_is_not_too_small():
    (finding,) = check(nn.Sequential(nn.Conv2d(3, 3, 3)), torch.zeros(3), run=False).errors
    assert finding.code == "SK110"
    assert "Expected 3D (unbatched) or 4D (batched) input" in finding.message
