"""What rectified-branch must find, and what it must leave alone."""

import pytest
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class ReluInSeq(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.r = nn.ReLU()

    def forward(self, x):
        return self.r(self.b(x) + x)


class GoodBasic(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8), nn.BatchNorm2d(8))
        self.r = nn.ReLU()

    def forward(self, x):
        return self.r(self.b(x) + x)


class Unit(nn.Module):
    """A SqueezeNext unit: its convolutions, that of its shortcut too unless said otherwise, are all rectified."""

    def __init__(self, project=None):
        super().__init__()
        self.b = nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.short = project or nn.Identity()
        self.r = nn.ReLU()

    def forward(self, x):
        return self.r(self.b(x) + self.short(x))


def units(*more):
    return nn.Sequential(Unit(nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), *more)), Unit(), Unit())


FOUND = [
    (ReluInSeq, MAP),
    (lambda: units(), MAP),
]
LEFT_ALONE = [
    (GoodBasic, MAP),
    (lambda: units(nn.ReLU()), MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"rectified-branch"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_rectified_by_design_is_a_note(notes):
    assert "relu-before-add" in {note.rule for note in notes(units(nn.ReLU()), MAP)}


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("rectified-branch.txt", text(found(kind, shape)[0]))
