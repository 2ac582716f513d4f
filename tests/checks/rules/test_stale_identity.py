"""What stale-identity must find, and what it must leave alone."""

import pytest
import torch.nn.functional as F
from torch import nn

from networks import Attention, conv, mlp

MAP = (2, 8, 8, 8)
TOKENS = (2, 10, 16)


class StalePreNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n1 = nn.LayerNorm(16)
        self.n2 = nn.LayerNorm(16)

    def forward(self, x):
        h = x + self.a(self.n1(x))
        return x + self.m(self.n2(h))


class StalePostNormDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n1 = nn.LayerNorm(16)
        self.n2 = nn.LayerNorm(16)
        self.d = nn.Dropout(0.1)

    def forward(self, x):
        h = self.n1(self.d(self.a(x)) + x)
        f = self.d(self.m(h))
        return self.n2(f + x)


class StaleCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d = (conv(8, 8) for _ in range(4))
        self.n = nn.ModuleList(nn.BatchNorm2d(8) for _ in range(4))

    def forward(self, x):
        y = F.relu(self.n[1](self.b(F.relu(self.n[0](self.a(x))))) + x)
        z = self.n[3](self.d(F.relu(self.n[2](self.c(y)))))
        return F.relu(z + x)


class StaleInBlocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.bs = nn.Sequential(StalePreNorm(), StalePreNorm())

    def forward(self, x):
        return self.bs(x)


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


class Parallel(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n1 = nn.LayerNorm(16)

    def forward(self, x):
        h = self.n1(x)
        return x + self.a(h) + self.m(h)


class Midpoint(nn.Module):
    def __init__(self):
        super().__init__()
        self.f = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16), nn.Tanh())

    def forward(self, x):
        h = x + 0.5 * self.f(x)
        return x + self.f(h)


class InitialResidualGnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.i = nn.Linear(16, 16)
        self.l = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.n = nn.ModuleList(nn.LayerNorm(16) for _ in range(4))

    def forward(self, x):
        h0 = h = self.i(x)
        for layer, norm in zip(self.l, self.n, strict=True):
            h = F.relu(norm(layer(h) + h0))
        return h


class RecurrentConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, x):
        x1 = self.c(x)
        for _ in range(2):
            x1 = self.c(x + x1)
        return x1


class Edsr1(nn.Module):
    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = conv(8, 8)
            self.b = conv(8, 8)

        def forward(self, x):
            return x + self.b(F.relu(self.a(x)))

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(self.B(), conv(8, 8))

    def forward(self, x):
        return x + self.body(x)


FOUND = [
    (StalePreNorm, TOKENS),
    (StalePostNormDropout, TOKENS),
    (StaleCnn, MAP),
    (StaleInBlocks, (2, 10, 16)),
]
LEFT_ALONE = [
    (GoodPreNorm, TOKENS),
    (Parallel, TOKENS),
    (Midpoint, (2, 10, 16)),
    (InitialResidualGnn, (10, 16)),
    (RecurrentConv, MAP),
    (Edsr1, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"stale-identity"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("stale-identity.txt", text(found(kind, shape)[0]))
