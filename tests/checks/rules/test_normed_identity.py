"""What normed-identity must find, and what it must leave alone."""

import pytest
import torch.nn.functional as F
from torch import nn

from networks import Attention, conv, mlp

MAP = (2, 8, 8, 8)
TOKENS = (2, 10, 16)


class NormedBoth(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n1 = nn.LayerNorm(16)
        self.n2 = nn.LayerNorm(16)

    def forward(self, x):
        x = self.n1(x)
        x = x + self.a(x)
        x = self.n2(x)
        return x + self.m(x)


class NormedSecond(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n1 = nn.LayerNorm(16)
        self.n2 = nn.LayerNorm(16)

    def forward(self, x):
        x = x + self.a(self.n1(x))
        x = self.n2(x)
        return x + self.m(x)


class NormedPreAct(nn.Module):
    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = conv(8, 8)
            self.b = conv(8, 8)
            self.n1 = nn.BatchNorm2d(8)
            self.n2 = nn.BatchNorm2d(8)

        def forward(self, x):
            x = F.relu(self.n1(x))
            return x + self.b(F.relu(self.n2(self.a(x))))

    def __init__(self):
        super().__init__()
        self.stem = conv(8, 8)
        self.bs = nn.Sequential(self.B(), self.B(), self.B())

    def forward(self, x):
        return self.bs(self.stem(x))


class PostNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Attention()
        self.m = mlp()
        self.n1 = nn.LayerNorm(16)
        self.n2 = nn.LayerNorm(16)

    def forward(self, x):
        x = self.n1(x + self.a(x))
        return self.n2(x + self.m(x))


class PostNormStack(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.LayerNorm(16)
        self.bs = nn.Sequential(PostNorm(), PostNorm())

    def forward(self, x):
        return self.bs(self.e(x))


class NormedSingle(nn.Module):
    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.n = nn.LayerNorm(16)
            self.m = mlp()

        def forward(self, x):
            x = self.n(x)
            return x + self.m(x)

    def __init__(self):
        super().__init__()
        self.e = nn.Linear(16, 16)
        self.b = nn.Sequential(self.B(), self.B())

    def forward(self, x):
        return self.b(self.e(x))


class InputNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.BatchNorm2d(8)
        self.c = conv(8, 8)

    def forward(self, x):
        x = self.n(x)
        return x + self.c(x)


FOUND = [
    (NormedBoth, TOKENS),
    (NormedSecond, TOKENS),
    (NormedPreAct, MAP),
    (NormedSingle, TOKENS),
]
LEFT_ALONE = [
    (PostNorm, TOKENS),
    (PostNormStack, (2, 10, 16)),
    (InputNorm, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"normed-identity"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("normed-identity.txt", text(found(kind, shape)[0]))
