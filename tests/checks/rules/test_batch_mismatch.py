"""Batch mismatch: a batch folded by a view is told as that, with the line that folds it, and nothing is fitted."""

import pytest
import torch
from torch import nn

from contract import ErrorContract
from skipstone.checks import check


class Folds(nn.Module):
    """Features grouped by a view that takes the batch along: (2, 64) becomes (8, 16)."""

    def __init__(self, right=False):
        super().__init__()
        self.first, self.body, self.right = nn.Linear(16, 64), nn.Linear(16, 16), right

    def forward(self, x):
        y = self.first(x)
        y = y.view(x.shape[0], 4, 16).mean(1) if self.right else y.view(-1, 16)
        return x + self.body(y)


class TestBatchMismatch(ErrorContract):
    rule = "batch-mismatch"
    shape = (2, 16)
    mends = False

    def broken(self):
        return Folds()

    def right(self):
        return Folds(right=True)


def test_the_fold_is_named():
    (finding,) = check(Folds(), (2, 16)).errors
    assert finding.message.startswith("the batch was folded by view (test_batch_mismatch.py:")
    assert finding.message.endswith("8 against 2")


def test_other_sizes_of_the_first_axis_are_no_fold():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y

    model = nn.Sequential(nn.Linear(4, 4))
    model.forward = Two().forward
    with pytest.raises(RuntimeError):
        model(torch.zeros(3, 4), torch.zeros(5, 4))
    assert [finding.rule for finding in check(Two(), ((3, 4), (5, 4))).errors] == ["spatial-mismatch"]
