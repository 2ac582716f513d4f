"""What cut-gradient must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class Detached(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)

    def forward(self, x):
        x = self.a(x)
        return self.c(x) + x.detach()


class DataSkip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)
        self.d = conv(16, 8)

    def forward(self, x):
        x = self.a(x)
        k = x.data
        return self.d(torch.cat([self.c(x), k], 1))


class NoGradSkip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)
        self.p = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        x = self.a(x)
        with torch.no_grad():
            i = self.p(x)
        return self.c(F.relu(self.c(x))) + i


class DetachedBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)

    def forward(self, x):
        x = self.a(x)
        return x + self.c(F.relu(x)).detach()


class Ste(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)

    def forward(self, x):
        x = self.a(x)
        q = self.c(x).round()
        return x + (q - x).detach()


class Raft(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)

    def forward(self, x):
        x = self.a(x)
        for _ in range(2):
            x = x.detach()
            x = x + self.c(x)
        return x


class NoGradBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.c = conv(8, 8)

    def forward(self, x):
        x = self.a(x)
        with torch.no_grad():
            y = self.c(x)
        return x + y


class FrozenTrunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8))
        self.h = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        with torch.no_grad():
            y = self.trunk(x)
        return y + self.h(y)


class SelectedQueries(nn.Module):
    """As in two-stage detection transformers: queries and boxes are cut, the position made of a box is added."""

    def __init__(self):
        super().__init__()
        self.encoder, self.box = nn.Linear(8, 16), nn.Linear(16, 4)
        self.position = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16))

    def forward(self, x):
        memory = self.encoder(x)
        query = memory[:, :5]
        box = self.box(query).detach()
        return query.detach() + self.position(box.sigmoid()), self.box(memory)


FOUND = [
    (Detached, MAP),
    (DataSkip, MAP),
    (NoGradSkip, MAP),
    (DetachedBranch, MAP),
    (NoGradBranch, MAP),
]
LEFT_ALONE = [
    (Ste, MAP),
    (Raft, MAP),
    (FrozenTrunk, MAP),
    (SelectedQueries, (2, 9, 8)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"cut-gradient"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("cut-gradient.txt", text(found(kind, shape)[0]))
