"""What zeroed-branch must find, and what it must leave alone."""

import pytest
import torch
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class ZeroAttr(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.gamma = torch.zeros(1)

    def forward(self, x):
        return x + self.gamma * self.c(x)


class ZeroNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.scale = 0.0

    def forward(self, x):
        return self.c(x) + self.scale * x


class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.g = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.g * self.c(x)


class FrozenZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.g = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, x):
        return x + self.g * self.c(x)


class ZeroBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = conv(8, 8)
        self.register_buffer("gamma", torch.zeros(8))

    def forward(self, x):
        return x + self.gamma.view(1, -1, 1, 1) * self.b(x)


class Scheduled(ZeroBuffer):
    """The same factor, raised from outside while the network is trained."""

    def fade_in(self, value):
        self.gamma.fill_(value)


FOUND = [
    (ZeroBuffer, MAP),
    (ZeroAttr, MAP),
    (ZeroNumber, MAP),
    (FrozenZero, MAP),
]
LEFT_ALONE = [
    (ReZero, MAP),
    (Scheduled, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"zeroed-branch"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("zeroed-branch.txt", text(found(kind, shape)[0]))
