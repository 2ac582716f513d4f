"""What accidental-broadcast must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class MeanWithoutKeepdim(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = conv(3, 1)

    def forward(self, x):
        return self.n(x) - x.mean(1)


class GreyIntoWide(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = conv(1, 16)
        self.o = conv(16, 1)

    def forward(self, x):
        return self.o(F.relu(self.n(x) + x))


class BatchOfOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Linear(16, 16)

    def forward(self, x):
        return self.n(x) + x.sum(2)[:, :, None].mean(1)


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.g = nn.Linear(8, 8)

    def forward(self, x):
        y = self.c(x)
        return x + y * torch.sigmoid(self.g(y.mean((2, 3))))[:, :, None, None]


class Aspp(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.g = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.c(x) + self.g(F.adaptive_avg_pool2d(x, 1))


FOUND = [
    (MeanWithoutKeepdim, (2, 3, 8, 8)),
    (GreyIntoWide, (2, 1, 8, 8)),
    (BatchOfOne, (1, 8, 16)),
]
LEFT_ALONE = [
    (Gate, MAP),
    (Aspp, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"accidental-broadcast"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("accidental-broadcast.txt", text(found(kind, shape)[0]))
