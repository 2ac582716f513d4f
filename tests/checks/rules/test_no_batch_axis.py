"""No batch axis: told as what it is, alone; silent where a single sample runs, and where the fault is another."""

import pytest
import torch
from torch import nn

from networks import Residual, conv
from skipstone.checks import check

IMAGE = (3, 32, 32)


def flattening():
    return nn.Sequential(conv(3, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def normed():
    return nn.Sequential(Residual(conv(3, 3)), nn.BatchNorm2d(3))


@pytest.mark.parametrize("kind", [flattening, normed])
def test_found_alone(kind):
    with pytest.raises((RuntimeError, ValueError)):
        kind()(torch.zeros(IMAGE))
    (finding,) = check(kind(), IMAGE).errors
    assert finding.rule == "no-batch-axis"
    assert finding.message == "no batch axis: 3x32x32 given to a network of 2-D convolutions"
    assert finding.notes == ("give it (1, 3, 32, 32)",)
    assert not check(kind(), (2, *IMAGE)).errors


def test_left_alone():
    assert not check(nn.Sequential(conv(3, 8), nn.ReLU()), IMAGE).errors  # runs as it is
    wide = nn.Sequential(conv(3, 8), conv(9, 8))
    assert [finding.rule for finding in check(wide, (2, *IMAGE)).errors] == ["wrong-width"]


def test_text(text, golden):
    golden("no-batch-axis.txt", text(check(flattening(), IMAGE).errors[0]))
