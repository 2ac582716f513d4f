"""What batch-attention must find, and what it must leave alone."""

import pytest
import torch
from torch import nn

from networks import conv


class Ids(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(50, 16)
        self.pos = nn.Parameter(torch.zeros(1, 10, 16))
        self.a = nn.MultiheadAttention(16, 2)
        self.n = nn.LayerNorm(16)
        self.h = nn.Linear(16, 3)

    def forward(self, x):
        x = self.e(x) + self.pos
        x = self.n(x + self.a(x, x, x)[0])
        return self.h(x.mean(1))


class EncoderLayerPooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(16, 32)
        self.e = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 2, 64), 1, enable_nested_tensor=False)
        self.h = nn.Linear(32, 4)

    def forward(self, x):
        return self.h(self.e(self.p(x)).mean(1))


class LstmOverBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 16)
        self.l = nn.LSTM(16, 16)
        self.h = nn.Linear(16, 4)

    def forward(self, x):
        t = self.c(x).flatten(2).transpose(1, 2)
        y, _ = self.l(t)
        return self.h((t + y).mean(1))


class SeqFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(16, 32)
        self.e = nn.TransformerEncoderLayer(32, 2, 64)
        self.h = nn.Linear(32, 4)

    def forward(self, x):
        return self.h(self.e(self.p(x)).mean(0))


class BatchFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Linear(16, 32)
        self.e = nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
        self.h = nn.Linear(32, 4)

    def forward(self, x):
        return self.h(self.e(self.p(x)).mean(1))


class SeqFirstFromConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 16)
        self.a = nn.MultiheadAttention(16, 2)

    def forward(self, x):
        t = self.c(x).flatten(2).permute(2, 0, 1)
        return t + self.a(t, t, t)[0]


class SeqFirstNoPool(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.TransformerEncoderLayer(16, 2, 64)

    def forward(self, x):
        return self.e(x)


FOUND = [
    (Ids, torch.zeros(2, 10, dtype=torch.int64)),
    (EncoderLayerPooled, (3, 12, 16)),
    (LstmOverBatch, (3, 8, 8, 8)),
]
LEFT_ALONE = [
    (SeqFirst, (12, 3, 16)),
    (BatchFirst, (3, 12, 16)),
    (SeqFirstFromConv, (3, 8, 8, 8)),
    (SeqFirstNoPool, (12, 3, 16)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"batch-attention"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("batch-attention.txt", text(found(kind, shape)[0]))
