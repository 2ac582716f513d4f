"""What dead-computation must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class OverwrittenShortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)
        self.short = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        r = self.short(x)
        r = x
        return F.relu(self.b(F.relu(self.a(x))) + r)


class DownsampleUnused(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 16, 3, 2)
        self.b = conv(16, 16)
        self.short = nn.Conv2d(8, 16, 1, 2)

    def forward(self, x):
        self.short(x)
        out = self.b(F.relu(self.a(x)))
        return F.relu(out)


class LstmState(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.LSTM(16, 16, batch_first=True)
        self.h = nn.Linear(16, 3)

    def forward(self, x):
        o, _ = self.l(x)
        return self.h(o[:, -1])


class RunningBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.register_buffer("m", torch.zeros(8))
        self.t = nn.Linear(8, 8)

    def forward(self, x):
        y = self.a(x)
        self.m.mul_(0.9).add_(self.t(y.mean((0, 2, 3))).detach(), alpha=0.1)
        return x + y


FOUND = [
    (OverwrittenShortcut, MAP),
    (DownsampleUnused, MAP),
]
LEFT_ALONE = [
    (LstmState, (2, 10, 16)),
    (RunningBuffer, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"dead-computation"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("dead-computation.txt", text(found(kind, shape)[0]))


class SumDropped(nn.Module):
    """Two branches whose sum is dropped a few lines later."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = conv(8, 8), conv(8, 8), conv(8, 8)

    def forward(self, x):
        y = self.a(x) + self.b(x)
        y = y.relu()
        return self.c(x)


def test_one_cause_is_told_once_with_the_line_that_drops_it(found):
    (finding,) = found(SumDropped, MAP)
    assert finding.rule == "dead-computation"
    assert finding.message.startswith("a, b run")
    assert "ends at relu" in finding.notes[0]
