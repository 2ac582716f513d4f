"""What squeeze-eats-batch must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv


class SqueezeHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(3, 8)
        self.h = nn.Linear(8, 4)

    def forward(self, x):
        return self.h(F.adaptive_avg_pool2d(self.c(x), 1).squeeze())


class SqueezeGate(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(3, 8)
        self.h = nn.Linear(8, 8)

    def forward(self, x):
        x = self.c(x)
        g = torch.sigmoid(self.h(F.adaptive_avg_pool2d(x, 1).squeeze()))
        return x * g[:, :, None, None]


class SqueezeDims(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(3, 8)
        self.h = nn.Linear(8, 4)

    def forward(self, x):
        return self.h(F.adaptive_avg_pool2d(self.c(x), 1).squeeze(-1).squeeze(-1))


class SqueezeThenView(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(3, 8)
        self.h = nn.Linear(8, 4)

    def forward(self, x):
        return self.h(F.adaptive_avg_pool2d(self.c(x), 1).squeeze().view(x.size(0), -1))


class SqueezeThenViewBehindNorm(nn.Module):
    """With one sample the norm fails in training, whatever the squeeze does."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3)
        self.n = nn.BatchNorm2d(8)

    def forward(self, x):
        y = F.adaptive_avg_pool2d(self.c(x), 1)
        return self.n(y).squeeze().view(x.size(0), -1)


FOUND = [
    (SqueezeHead, (2, 3, 8, 8)),
    (SqueezeGate, (1, 3, 8, 8)),
]
LEFT_ALONE = [
    (SqueezeThenViewBehindNorm, (2, 3, 8, 8)),
    (SqueezeDims, (2, 3, 8, 8)),
    (SqueezeThenView, (2, 3, 8, 8)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    # With a batch of one at hand, the operation that then fails is a finding of its own, after its cause.
    assert found(kind, shape)[0].rule == "squeeze-eats-batch"


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("squeeze-eats-batch.txt", text(found(kind, shape)[0]))
