"""Faults as users meet them: the rule and the place, the sizes that really run, a first repair that really mends."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from skipstone import check, legal_sizes

_SPEC = importlib.util.spec_from_file_location("case_networks", Path(__file__).with_name("case_networks.py"))
case_networks = importlib.util.module_from_spec(_SPEC)
sys.modules["case_networks"] = case_networks
_SPEC.loader.exec_module(case_networks)

NAMES = sorted(case_networks.CASES)
SIZES = range(1, 33)


def at(shape, size):
    return tuple(size if axis == "h" else axis for axis in shape)


def built(name):
    kind, shape, size, module, rule = case_networks.CASES[name]
    torch.manual_seed(0)
    return kind(), shape, size, module, rule


def first_tensor(out):
    while not isinstance(out, torch.Tensor):
        out = next(iter(out.values())) if isinstance(out, dict) else out[0]
    return out


def runs(model, shape):
    try:
        with torch.no_grad():
            model(torch.randn(shape))
    except (RuntimeError, ValueError, IndexError):
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_the_fault_is_named_where_it_lies(name):
    model, shape, size, module, rule = built(name)
    first = check(model, at(shape, size), repairs=False, sizes=False).errors[0]
    assert (first.rule, first.module) == (rule, module)
    assert first.file.endswith("case_networks.py")


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_those_that_run(name):
    model, shape, _, _, _ = built(name)
    model.eval()
    sizes = legal_sizes(model, shape, h=SIZES)
    assert {*sizes.legal, *sizes.broadcast} == {h for h in SIZES if runs(model, at(shape, h))}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_repair_mends(name):
    model, shape, size, _, _ = built(name)
    example = at(shape, size)
    mended = check(model, example, sizes=False).errors[0].repairs[0].apply(model)
    first_tensor(mended(torch.randn(example))).square().sum().backward()
    assert not check(mended, example, repairs=False, sizes=False).errors
    with pytest.raises((RuntimeError, IndexError)):  # and the user's own stays as it was
        first_tensor(model(torch.randn(example))).square().sum().backward()
