"""What accidental-broadcast must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class MeanWithoutKeepdim(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = conv(3, 1)

    def forward(self, x):
        return self.n(x) - x.mean(1)


class GreyIntoWide(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = conv(1, 16)
        self.o = conv(16, 1)

    def forward(self, x):
        return self.o(F.relu(self.n(x) + x))


class BatchOfOne(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Linear(16, 16)

    def forward(self, x):
        return self.n(x) + x.sum(2)[:, :, None].mean(1)


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.g = nn.Linear(8, 8)

    def forward(self, x):
        y = self.c(x)
        return x + y * torch.sigmoid(self.g(y.mean((2, 3))))[:, :, None, None]


class Aspp(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.g = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        return self.c(x) + self.g(F.adaptive_avg_pool2d(x, 1))


FOUND = [
    (MeanWithoutKeepdim, (2, 3, 8, 8)),
    (GreyIntoWide, (2, 1, 8, 8)),
    (BatchOfOne, (1, 8, 16)),
]
LEFT_ALONE = [
    (Gate, MAP),
    (Aspp, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"accidental-broadcast"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("accidental-broadcast.txt", text(found(kind, shape)[0]))


class Rows(nn.Module):
    """A function of what a linear layer makes of the first input, and of the others."""

    def __init__(self, function, width=1):
        super().__init__()
        self.head, self.function = nn.Linear(16, width), function

    def forward(self, x, *others):
        return self.function(self.head(x), *others)


def distances(a, b):
    return (a**2).sum(1, keepdim=True) + (b**2).sum(1) - 2 * a @ b.t()


ROWS_MEET = {
    "a target without its column": (Rows(lambda p, y: (p - y).abs().mean(1)), ((5, 16), (5,))),
    "a weight for each sample": (Rows(lambda p, w: p.tanh() * w), ((5, 16), (5,))),
    "a condition of as many rows as steps": (Rows(lambda h, c: h + c, 8), ((4, 4, 16), (4, 8))),
    "a noise level": (Rows(lambda h, t: h.relu() + torch.sin(t)), ((5, 16), (5,))),
}
ROWS_APART = {
    "a target with its column": (Rows(lambda p, y: p - y[:, None]), ((5, 16), (5,))),
    "distances of two sets": (Rows(distances, 8), ((5, 16), (5, 8))),
    "distances of one": (Rows(lambda a: distances(a, a), 8), (5, 16)),
    "all pairs": (Rows(lambda a, b: (a[:, None] - b[None]).square().sum(-1), 8), ((5, 16), (5, 8))),
    "time first": (
        Rows(lambda h, c: torch.nn.functional.multi_head_attention_forward(
            h, h, h, 8, 1, torch.ones(24, 8), None, None, None, False, 0.0, torch.ones(8, 8), None)[0] + c, 8),
        ((4, 4, 16), (4, 8)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS_MEET)
def test_the_batch_of_two_inputs_is_one(found, name):
    model, shapes = ROWS_MEET[name]
    assert [f.rule for f in found(lambda: model, shapes)] == ["accidental-broadcast"]


@pytest.mark.parametrize("name", ROWS_APART)
def test_rows_that_are_kept_apart_or_paired(found, name):
    model, shapes = ROWS_APART[name]
    assert found(lambda: model, shapes) == ()
