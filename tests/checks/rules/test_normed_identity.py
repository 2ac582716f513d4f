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


class NormedQuery(nn.Module):
    """The query alone is normed and taken for the identity; keys and values read the stream."""

    def __init__(self, right=False):
        super().__init__()
        self.norm, self.attn, self.right = nn.LayerNorm(16), nn.MultiheadAttention(16, 2, batch_first=True), right
        self.ff_norm, self.ff, self.last = nn.LayerNorm(16), mlp(), nn.LayerNorm(16)

    def forward(self, x):
        x = self.ff(x)
        q = self.norm(x)
        x = (x if self.right else q) + self.attn(q, x, x)[0]
        x = x + self.ff(self.ff_norm(x))
        return self.last(x)


class CrossAttention(nn.Module):
    """A post-norm decoder: the normed stream asks a memory that nothing else is made of."""

    def __init__(self):
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(16), nn.MultiheadAttention(16, 2, batch_first=True)
        self.enc, self.last = mlp(), nn.LayerNorm(16)

    def forward(self, x):
        memory = self.enc(x)
        q = self.norm(x + memory)
        return self.last(q + self.attn(q, memory, memory)[0])


def test_a_normed_query_taken_for_the_identity(found):
    assert [f.rule for f in found(NormedQuery, (2, 10, 16))] == ["normed-identity"]
    assert found(lambda: NormedQuery(right=True), (2, 10, 16)) == ()
    assert found(CrossAttention, (2, 10, 16)) == ()


def test_one_slip_in_every_block_of_a_class_is_told_once(found):
    (finding,) = found(lambda: nn.Sequential(NormedBoth(), NormedBoth(), NormedBoth()), TOKENS)
    assert finding.notes
