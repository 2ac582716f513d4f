"""What shortcut-twice must find, and what it must leave alone."""

import pytest
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class AddedInBlockAndOutside(nn.Module):
    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.c = conv(8, 8)

        def forward(self, x):
            return self.c(x) + x

    def __init__(self):
        super().__init__()
        self.b = self.B()

    def forward(self, x):
        return self.b(x) + x


class AddedTwiceInline(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.b = nn.BatchNorm2d(8)

    def forward(self, x):
        o = self.b(self.c(x))
        o += x
        o = o + x
        return F.relu(o)


class LongSkip(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.d = conv(8, 8)
        self.t = conv(8, 8)

    def forward(self, x):
        y = x + self.c(x)
        y = y + self.d(y)
        return x + self.t(y)


FOUND = [
    (AddedInBlockAndOutside, MAP),
    (AddedTwiceInline, MAP),
]
LEFT_ALONE = [
    (LongSkip, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"shortcut-twice"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("shortcut-twice.txt", text(found(kind, shape)[0]))
