"""What self-add must find, and what it must leave alone."""

import pytest
import torch.nn.functional as F
from torch import nn

MAP = (2, 8, 8, 8)


def conv(cin, cout, kernel=3, stride=1):
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2)


class StaleResidualName(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)

    def forward(self, x):
        x = self.b(F.relu(self.a(x)))
        residual = x
        return F.relu(x + residual)


class Symmetrise(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(16, 8)

    def forward(self, x):
        x = self.a(x)
        return x + x.transpose(1, 2)


FOUND = [
    (StaleResidualName, MAP),
]
LEFT_ALONE = [
    (Symmetrise, (2, 8, 16)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"self-add"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("self-add.txt", text(found(kind, shape)[0]))
