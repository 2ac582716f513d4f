"""What wrong-cat-axis must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import Attention, conv

MAP = (2, 8, 8, 8)


class TextCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv1d(8, 16, 3, padding=1)
        self.b = nn.Conv1d(8, 16, 5, padding=2)
        self.h = nn.Linear(16, 4)

    def forward(self, x):
        return self.h(torch.cat([self.a(x), self.b(x)], 2).amax(2))


class CatWidth(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)

    def forward(self, x):
        y = F.relu(self.a(x))
        return F.adaptive_avg_pool2d(self.b(torch.cat([x, y], -1)), 1).flatten(1)


class CatBatch(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)

    def forward(self, x):
        y = F.relu(self.a(x))
        return self.b(torch.cat([x, y]))


class ClassToken(nn.Module):
    def __init__(self):
        super().__init__()
        self.t = nn.Parameter(torch.zeros(1, 1, 16))
        self.a = Attention()

    def forward(self, x):
        x = torch.cat([self.t.expand(len(x), -1, -1), x], 1)
        return x + self.a(x)


class Stripes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)

    def forward(self, x):
        upper, lower = x.chunk(2, 2)
        return torch.cat([self.a(upper), self.b(lower)], 2).mean((2, 3))


class RetinaLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.h = conv(8, 4)
        self.d = conv(8, 8, 3, 2)

    def forward(self, x):
        y = self.d(x)
        return torch.cat([self.h(f).flatten(2).transpose(1, 2) for f in (x, y)], 1)


FOUND = [
    (TextCnn, (2, 8, 16)),
    (CatWidth, MAP),
    (CatBatch, MAP),
]
LEFT_ALONE = [
    (ClassToken, (2, 10, 16)),
    (Stripes, MAP),
    (RetinaLike, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"wrong-cat-axis"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("wrong-cat-axis.txt", text(found(kind, shape)[0]))
