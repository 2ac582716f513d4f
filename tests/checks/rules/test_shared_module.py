"""What shared-module must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import Attention, conv, mlp

MAP = (2, 8, 8, 8)
TOKENS = (2, 10, 16)


class GoodPreNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n1 = nn.LayerNorm(16)
        self.n2 = nn.LayerNorm(16)

    def forward(self, x):
        h = x + self.a(self.n1(x))
        return h + self.m(self.n2(h))


class ConvTypo(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv(8, 8)
        self.conv2 = conv(8, 8)
        self.b1 = nn.BatchNorm2d(8)
        self.b2 = nn.BatchNorm2d(8)

    def forward(self, x):
        o = F.relu(self.b1(self.conv1(x)))
        o = self.b2(self.conv1(o))
        return F.relu(o + x)


class SharedBn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv(8, 8)
        self.conv2 = conv(8, 8)
        self.bn = nn.BatchNorm2d(8)

    def forward(self, x):
        o = F.relu(self.bn(self.conv1(x)))
        o = self.bn(self.conv2(o))
        return F.relu(o + x)


class SharedBnParallel(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = conv(8, 8)
        self.conv2 = nn.Conv2d(8, 8, 1)
        self.bn = nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(self.bn(self.conv1(x)) + self.bn(self.conv2(x)))


class SharedLn(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n = nn.LayerNorm(16)

    def forward(self, x):
        x = x + self.a(self.n(x))
        return x + self.m(self.n(x))


class SharedHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.d = conv(8, 8, 3, 2)
        self.h = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 4))

    def forward(self, x):
        y = self.d(x)
        a = self.h(x)
        b = self.h(y)
        return (a, b)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8))
        self.c = conv(16, 8)

    def forward(self, x):
        a = self.e(x)
        b = self.e(x.flip(3))
        return self.c(torch.cat([a, b], 1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = GoodPreNorm()

    def forward(self, x):
        x = self.b(x)
        x = self.b(x)
        return self.b(x)


class SharedPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)
        self.p = nn.MaxPool2d(2)
        self.r = nn.PReLU(8)

    def forward(self, x):
        x = self.p(self.r(self.a(x)))
        return self.p(self.r(self.b(x)))


class LoopedBn(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(conv(8, 8) for _ in range(3))
        self.bn = nn.BatchNorm2d(8)

    def forward(self, x):
        for layer in self.convs:
            x = x + F.relu(self.bn(layer(x)))
        return x


class LoopedTied(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = conv(8, 8), nn.BatchNorm2d(8)

    def forward(self, x):
        for _ in range(3):
            x = x + F.relu(self.bn(self.conv(x)))
        return x


class TiedTurns(nn.Module):
    """Two turns of one step in front of which, and behind which, other layers stand."""

    def __init__(self):
        super().__init__()
        self.stem, self.step, self.bn, self.head = conv(8, 8), conv(8, 8), nn.BatchNorm2d(8), conv(8, 8)

    def forward(self, x):
        x = self.stem(x)
        for _ in range(2):
            x = self.step(F.relu(self.bn(x)))
        return self.head(x)


FOUND = [
    (ConvTypo, MAP),
    (SharedBn, MAP),
    (SharedBnParallel, MAP),
    (SharedLn, TOKENS),
    (LoopedBn, MAP),
]
LEFT_ALONE = [
    (SharedHead, MAP),
    (Siamese, (2, 8, 8, 8)),
    (Tied, (2, 10, 16)),
    (SharedPool, MAP),
    (LoopedTied, MAP),
    (TiedTurns, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"shared-module"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("shared-module.txt", text(found(kind, shape)[0]))
