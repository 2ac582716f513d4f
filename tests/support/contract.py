"""What every rule that finds errors must keep, as a class of tests to inherit from."""

import re

import pytest
import torch

from skipstone.checks import check
from skipstone.checks.text import finding_text


def first_tensor(value):
    return value if isinstance(value, torch.Tensor) else next(iter(value))


def run(model, shape):
    """Forward and backward on real numbers."""
    x = torch.randn(shape, requires_grad=True)
    first_tensor(model(x)).square().sum().backward()


class ErrorContract:
    """The rule finds its fault where it lies, leaves the right twin alone, and its repairs mend it.

    A subclass names the rule, the shape of the input, `broken()` and `right()`.
    """

    rule: str
    shape: tuple[int, ...]
    mends = True  # False: torch's or the network's own words are all there is

    def broken(self):
        raise NotImplementedError

    def right(self):
        raise NotImplementedError

    def test_finds_the_fault_and_nothing_else(self):
        assert [f.rule for f in check(self.broken(), self.shape, repairs=False, sizes=False).errors] == [self.rule]

    def test_torch_agrees_that_it_fails(self):
        with pytest.raises((RuntimeError, ValueError, AttributeError, TypeError, NotImplementedError)):
            run(self.broken(), self.shape)
        run(self.right(), self.shape)

    def test_leaves_the_right_twin_alone(self):
        report = check(self.right(), self.shape, repairs=False, sizes=False)
        assert not report.errors
        assert not report.warnings
        assert report.partial is None

    def test_repairs_mend_it(self):
        torch.manual_seed(0)
        model = self.broken()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        (finding,) = check(model, self.shape).errors
        assert bool(finding.repairs) == self.mends
        for repair in finding.repairs:
            mended = repair.apply(model)
            run(mended, self.shape)
            assert not check(mended, self.shape, repairs=False, sizes=False).errors, repair.title
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    def test_text_is_the_golden_one(self, golden):
        (finding,) = check(self.broken(), self.shape).errors
        text = re.sub(r"(\.py):\d+", r"\1", finding_text(finding))
        # Which sizes a pass at many speaks for, and so at which edges is looked, differs from torch to torch.
        golden(f"{self.rule}.txt", re.sub(r"\brun at [\d., and]*\d", "run at SIZES", text) + "\n")

    def test_the_place_is_a_line_of_the_network(self):
        (finding,) = check(self.broken(), self.shape, repairs=False, sizes=False).errors
        if finding.place is None:  # called by torch's own Sequential: the module alone tells
            assert finding.module
        else:
            assert finding.place.file.endswith((f"test_{self.rule.replace('-', '_')}.py", "networks.py"))
