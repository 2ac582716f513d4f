"""A backward pass that never ends is cut off as a forward pass is, and the summary says so."""

import torch
from torch import nn

from skipstone.checks import check


class Spin(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        while True:
            pass


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return Spin.apply(self.linear(x))


def test_it_ends_and_is_told():
    report = check(Net(), (2, 4), budget=0.05)
    assert report.ran == "run: 2 x 4, cut off after 0 s"
