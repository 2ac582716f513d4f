"""ReLU before the addition: told once for the network, and not where the stronger warning stands."""

import torch.nn.functional as F
from torch import nn

from networks import Residual, convs
from skipstone.checks import check

MAP = (2, 16, 16, 16)


def branch(*layers):
    return Residual(nn.Sequential(*layers))


def test_a_branch_that_ends_in_a_relu(notes):
    assert [note.rule for note in notes(branch(*convs(), nn.ReLU()), MAP)] == ["relu-before-add"]
    assert notes(branch(*convs()), MAP) == []


def test_several_are_one_note(notes):
    (note,) = notes(nn.Sequential(*(branch(*convs(), nn.ReLU()) for _ in range(3))), MAP)
    assert "(and 2 more)" in note.message


def test_a_rectified_branch_is_said_once(notes):
    class Post(Residual):
        def forward(self, x):
            return F.relu(super().forward(x))

    model = Post(nn.Sequential(*convs(), nn.ReLU()))
    assert notes(model, MAP) == []
    assert [finding.rule for finding in check(model, MAP, repairs=False, sizes=False).warnings] == ["rectified-branch"]


def test_text(notes, text, golden):
    golden("relu-before-add.txt", text(notes(branch(*convs(), nn.ReLU()), MAP)[0]))
