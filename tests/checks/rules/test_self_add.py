"""What self-add must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class StaleResidualName(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)

    def forward(self, x):
        x = self.b(F.relu(self.a(x)))
        residual = x
        return F.relu(x + residual)


class Symmetrise(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(16, 8)

    def forward(self, x):
        x = self.a(x)
        return x + x.transpose(1, 2)


class UNetCatsItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(3, 8)
        self.b = conv(8, 8)
        self.u = nn.ConvTranspose2d(8, 8, 2, 2)
        self.o = conv(16, 1)

    def forward(self, x):
        e = F.relu(self.a(x))
        d = self.u(F.relu(self.b(F.max_pool2d(e, 2))))
        return self.o(torch.cat([d, d], 1))


class GreyToRgb(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(3, 1)
        self.b = conv(2, 8)

    def forward(self, x):
        y = self.a(x)
        return self.b(torch.cat([y, y], 1))


FOUND = [
    (StaleResidualName, MAP),
    (UNetCatsItself, (2, 3, 16, 16)),
]
LEFT_ALONE = [
    (Symmetrise, (2, 8, 16)),
    (GreyToRgb, (2, 3, 16, 16)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"self-add"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("self-add.txt", text(found(kind, shape)[0]))
