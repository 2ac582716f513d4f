"""What dropped-tail must find, and what it must leave alone."""

import pytest
import torch.nn.functional as F
from torch import nn

from networks import Attention


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()

    def forward(self, x):
        b, t, c = x.shape
        n = t // 8
        return self.a(x[:, : n * 8].reshape(b * n, 8, c)).reshape(b, n * 8, c)


class FoldTail(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(48, 48)

    def forward(self, x):
        u = F.unfold(x, 4, stride=4).transpose(1, 2)
        return x + F.fold(self.l(u).transpose(1, 2), (30, 30), 4, stride=4)


class FoldFull(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(48, 48)

    def forward(self, x):
        u = F.unfold(x, 4, stride=4).transpose(1, 2)
        return x + F.fold(self.l(u).transpose(1, 2), (32, 32), 4, stride=4)


class Chomped(nn.Module):
    """A causal convolution pads both sides and cuts the tail; then the sequence is split into heads."""

    def __init__(self, rest):
        super().__init__()
        self.c, self.bend, self.rest = nn.Conv1d(8, 8, 7, padding=6), nn.ReLU(), rest

    def forward(self, x):
        y = self.bend(self.c(x))[..., : 80 - self.rest]
        return y.reshape(x.shape[0], 8, -1, 4).transpose(1, 2)


FOUND = [
    (Windows, (2, 45, 16)),
    (FoldTail, (2, 3, 30, 30)),
    (lambda: Chomped(4), (2, 8, 83)),
]
LEFT_ALONE = [
    (FoldFull, (2, 3, 32, 32)),
    (lambda: Chomped(0), (2, 8, 80)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"dropped-tail"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("dropped-tail.txt", text(found(kind, shape)[0]))
