"""What identity-overwritten must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class FunctionalRelu(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.c0 = conv(8, 8)

    def forward(self, x):
        x = self.c0(x)
        y = self.c(F.relu(x, inplace=True))
        return y + x


class AugmentedBranch(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.c0 = conv(8, 8)
        self.b = nn.Parameter(torch.zeros(1, 8, 1, 1))

    def forward(self, x):
        x = self.c0(x)
        y = x
        y += self.b
        return self.c(y) + x


class LeakyInBlockList(nn.Module):
    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.ModuleList([nn.LeakyReLU(0.1, inplace=True), conv(8, 8), nn.BatchNorm2d(8)])

        def forward(self, x):
            h = x
            for m in self.body:
                h = m(h)
            return x + h

    def __init__(self):
        super().__init__()
        self.stem = conv(8, 8)
        self.b = nn.Sequential(self.B(), self.B())

    def forward(self, x):
        return self.b(self.stem(x))


class SkipListClobbered(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)
        self.c = conv(16, 8)
        self.act = nn.ReLU(True)

    def forward(self, x):
        x = self.a(x)
        skip = x
        x = self.act(x)
        x = self.b(x)
        return self.c(torch.cat([x, skip], 1))


class StatementInplace(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)
        self.r = nn.ReLU(True)

    def forward(self, x):
        x = self.a(x)
        self.r(x)
        return x + self.b(x)


class TorchvisionLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)
        self.n = nn.BatchNorm2d(8)
        self.n2 = nn.BatchNorm2d(8)
        self.r = nn.ReLU(True)

    def forward(self, x):
        x = self.r(self.n2(self.a(x)))
        i = x
        o = self.r(self.n(self.b(x)))
        o = self.n2(self.a(o))
        o += i
        return self.r(o)


class ThroughAView(nn.Module):
    """The activation works on a flattened view of the identity."""

    def __init__(self):
        super().__init__()
        self.a, self.mix, self.act = conv(8, 8), nn.Linear(64, 64), nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x):
        x = self.a(x)
        return x + self.mix(self.act(x.flatten(2))).view_as(x)


class OnACopy(ThroughAView):
    def forward(self, x):
        x = self.a(x)
        return x + self.mix(self.act(x.flatten(2).clone())).view_as(x)


FOUND = [
    (FunctionalRelu, MAP),
    (AugmentedBranch, MAP),
    (LeakyInBlockList, MAP),
    (SkipListClobbered, MAP),
    (ThroughAView, MAP),
]
LEFT_ALONE = [
    (OnACopy, MAP),
    (StatementInplace, MAP),
    (TorchvisionLike, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"identity-overwritten"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("identity-overwritten.txt", text(found(kind, shape)[0]))
