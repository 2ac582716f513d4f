"""What drop-path-scale must find, and what it must leave alone."""

import pytest
import torch
from torch import nn

from networks import conv, drop_path, mlp

MAP = (2, 8, 8, 8)
TOKENS = (2, 10, 16)


class NoScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = mlp()

    def forward(self, x):
        return x + drop_path(self.m(x), 0.2, (len(x), 1, 1), False, self.training)


class NoScaleRand(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.keep = 0.8

    def forward(self, x):
        y = self.c(x)
        if self.training:
            y = y * (torch.rand(len(x), 1, 1, 1) < self.keep).float()
        return x + y


class HuangScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.keep = 0.8

    def forward(self, x):
        y = self.c(x)
        y = y * torch.bernoulli(torch.full((1,), self.keep)) if self.training else y * self.keep
        return x + y


class TimmLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = mlp()

    def forward(self, x):
        return x + drop_path(self.m(x), 0.2, (len(x), 1, 1), True, self.training)


class HfLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.m = mlp()

    def forward(self, x):
        y = self.m(x)
        keep = 0.8
        if self.training:
            r = keep + torch.rand((len(x), 1, 1))
            r.floor_()
            y = y.div(keep) * r
        return x + y


FOUND = [
    (NoScale, TOKENS),
    (NoScaleRand, MAP),
]
LEFT_ALONE = [
    (HuangScale, MAP),
    (TimmLike, TOKENS),
    (HfLike, TOKENS),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"drop-path-scale"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("drop-path-scale.txt", text(found(kind, shape)[0]))
