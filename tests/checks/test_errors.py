"""Every error rule finds its fault, leaves the right twin alone, says what it must, and its repairs mend it."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch

from skipstone.checks import BY_RULE, check
from skipstone.checks.text import finding_text

_FILE = Path(__file__).with_name("networks.py")
_SPEC = importlib.util.spec_from_file_location("checked_networks", _FILE)
networks = importlib.util.module_from_spec(_SPEC)
sys.modules["checked_networks"] = networks
_SPEC.loader.exec_module(networks)

RULES = sorted(networks.ERRORS)
# Rules that propose nothing: torch's or the network's own words are all there is.
UNMENDED = {"refused-operation", "own-error"}
# These fail in the forward pass; the others in the backward pass alone.
LATE = {"inplace-saved"}


def first_tensor(value):
    return value if isinstance(value, torch.Tensor) else next(iter(value))


def run(model, shape):
    x = torch.randn(shape, requires_grad=True)
    first_tensor(model(x)).square().sum().backward()


def test_every_error_rule_has_a_fault_and_a_twin():
    assert set(RULES) == {rule for rule, code in BY_RULE.items() if code.code.startswith("SK1")} - {
        "squeeze-eats-batch"
    }


@pytest.mark.parametrize("rule", RULES)
def test_finds_the_fault_and_nothing_else(rule):
    broken, _, shape = networks.ERRORS[rule]
    assert [f.rule for f in check(broken(), shape, repairs=False, sizes=False).errors] == [rule]


@pytest.mark.parametrize("rule", RULES)
def test_torch_agrees_that_it_fails(rule):
    broken, right, shape = networks.ERRORS[rule]
    with pytest.raises((RuntimeError, ValueError)):
        run(broken(), shape)
    run(right(), shape)


@pytest.mark.parametrize("rule", RULES)
def test_leaves_the_right_twin_alone(rule):
    _, right, shape = networks.ERRORS[rule]
    report = check(right(), shape, repairs=False, sizes=False)
    assert not report.errors
    assert not report.warnings
    assert report.partial is None


@pytest.mark.parametrize("rule", RULES)
def test_repairs_mend_it(rule):
    broken, _, shape = networks.ERRORS[rule]
    torch.manual_seed(0)
    model = broken()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (finding,) = check(model, shape).errors
    assert bool(finding.repairs) == (rule not in UNMENDED)
    for repair in finding.repairs:
        mended = repair.apply(model)
        run(mended, shape)
        assert not check(mended, shape, repairs=False, sizes=False).errors, repair.title
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("rule", RULES)
def test_text_is_the_golden_one(rule, golden):
    broken, _, shape = networks.ERRORS[rule]
    (finding,) = check(broken(), shape).errors
    golden(f"{rule}.txt", re.sub(r"networks\.py:\d+", "networks.py:LINE", finding_text(finding)) + "\n")


@pytest.mark.parametrize("rule", RULES)
def test_the_place_is_the_line_at_fault(rule):
    broken, _, shape = networks.ERRORS[rule]
    (finding,) = check(broken(), shape, repairs=False, sizes=False).errors
    if finding.place is None:  # called by torch's own Sequential: the module alone tells
        assert finding.module
    else:
        assert finding.place.file == str(_FILE)
        assert 1 <= finding.place.line <= len(_FILE.read_text().splitlines())


def test_one_fault_behind_another_gives_two_findings():
    faulty = networks.ERRORS["channel-mismatch"][0]
    model = torch.nn.Sequential(faulty(), networks.Residual(networks.conv(8, 16, 3)))
    assert [f.rule for f in check(model, networks.IMAGE, repairs=False, sizes=False).errors] == [
        "channel-mismatch",
        "channel-mismatch",
    ]


def test_one_fault_gives_one_finding():
    # Behind the addition everything is made for 8 channels: assuming the identity's 3 would raise a second finding.
    model = torch.nn.Sequential(
        networks.Residual(networks.conv(3, 8, 3)), networks.conv(8, 8, 3), torch.nn.BatchNorm2d(8)
    )
    assert len(check(model, networks.IMAGE, repairs=False, sizes=False).errors) == 1
