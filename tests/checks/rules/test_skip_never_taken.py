"""What skip-never-taken must find, and what it must leave alone."""

import pytest
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class Inline(nn.Module):
    class B(nn.Module):
        def __init__(self, i, o, st):
            super().__init__()
            self.i, self.o, self.s = (i, o, st)
            self.c = conv(i, o, 3, st)

        def forward(self, x):
            out = F.relu(self.c(x))
            if self.s == 1 and self.i == self.o:
                out = out + x
            return out

    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(self.B(8, 12, 1), self.B(12, 16, 1))

    def forward(self, x):
        return self.b(x)


class ShapeTest(nn.Module):
    class B(nn.Module):
        def __init__(self, i, o):
            super().__init__()
            self.c = conv(i, o)

        def forward(self, x):
            out = self.c(x)
            if out.shape == x.shape:
                out += x
            return out

    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(self.B(8, 12), self.B(12, 16))

    def forward(self, x):
        return self.b(x)


class Switch(nn.Module):
    class B(nn.Module):
        def __init__(self, r):
            super().__init__()
            self.c = conv(8, 8)
            self.residual = r

        def forward(self, x):
            return x + self.c(x) if self.residual else self.c(x)

    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(self.B(False), self.B(False))

    def forward(self, x):
        return self.b(x)


FOUND = [
    (Inline, MAP),
    (ShapeTest, MAP),
]
LEFT_ALONE = [
    (Switch, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"skip-never-taken"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("skip-never-taken.txt", text(found(kind, shape)[0]))
