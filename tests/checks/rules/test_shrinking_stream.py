"""Shrinking stream: told where every block halves the sum; silent on the root of a half and on scaled branches."""

import pytest
import torch
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class Halved(nn.Module):
    factor = 0.5

    def __init__(self):
        super().__init__()
        self.body = conv(8, 8)

    def forward(self, x):
        return (x + self.body(x)) * self.factor


class Divided(Halved):
    def forward(self, x):
        return (x + self.body(x)) / 2


class Root(Halved):
    factor = 0.5**0.5


class Branch(Halved):
    def forward(self, x):
        return x + 0.1 * self.body(x)


def row(kind, count):
    return lambda: nn.Sequential(*(kind() for _ in range(count)))


@pytest.mark.parametrize("kind", [Halved, Divided])
def test_found(found, kind):
    (finding,) = found(row(kind, 5), MAP)
    assert (finding.rule, finding.module) == ("shrinking-stream", "0")
    assert "in 5 blocks" in finding.message


@pytest.mark.parametrize("kind", [row(Root, 5), row(Halved, 2), row(Branch, 5)])
def test_left_alone(found, kind):
    assert found(kind, MAP) == ()


def test_the_identity_shrinks():
    model = row(Halved, 10)()
    for block in model:
        nn.init.zeros_(block.body.weight), nn.init.zeros_(block.body.bias)
    x = torch.randn(MAP)
    torch.testing.assert_close(model(x), x / 1024)


def test_text(found, text, golden):
    golden("shrinking-stream.txt", text(found(row(Halved, 5), MAP)[0]))
