"""Needless projection: told with what the identity saves; not where shapes differ or branches are folded."""

import torch.nn.functional as F
from torch import nn

from networks import Residual, conv, convs

MAP = (2, 16, 16, 16)


def projected():
    return Residual(nn.Sequential(*convs()), nn.Conv2d(16, 16, 1))


def test_a_projection_where_the_identity_fits(notes):
    (note,) = notes(projected(), MAP)
    assert note.rule == "needless-projection"
    assert f"{16 * 16 + 16} parameters" in note.message


def test_a_projection_that_is_needed(notes):
    branch = nn.Sequential(conv(16, 32), nn.ReLU(), conv(32, 32))
    assert notes(Residual(branch, nn.Conv2d(16, 32, 1)), MAP) == []


def test_a_branch_to_be_folded(notes):
    # RepVGG: both branches become one convolution.
    branch = nn.Sequential(conv(16, 16), nn.BatchNorm2d(16))
    assert notes(Residual(branch, nn.Conv2d(16, 16, 1)), MAP) == []


class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.c4, self.c5 = conv(16, 16), nn.Conv2d(16, 32, 3, 2, 1)
        self.p5, self.p4 = nn.Conv2d(32, 16, 1), nn.Conv2d(16, 16, 1)

    def forward(self, x):
        c4 = self.c4(x).relu()
        return F.interpolate(self.p5(self.c5(c4).relu()), scale_factor=2) + self.p4(c4)


def test_a_lateral_layer(notes):
    assert [note.rule for note in notes(Pyramid(), MAP)] == []


def test_text(notes, text, golden):
    golden("needless-projection.txt", text(notes(projected(), MAP)[0]))
