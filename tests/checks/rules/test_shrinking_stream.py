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


class Shortcut(Halved):
    def forward(self, x):
        return 0.5 * x + self.body(x)


class Rectified(Halved):
    def forward(self, x):
        return torch.relu(x + self.body(x)) * 0.4


class NormedBehind(Halved):
    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(2, 8)

    def forward(self, x):
        return self.norm(0.5 * (x + self.body(x)))


class FixedPoint(nn.Module):
    """Damped steps of one block towards its fixed point (DEQ, 1909.01377)."""

    def __init__(self):
        super().__init__()
        self.block = Halved()

    def forward(self, x):
        for _ in range(5):
            x = self.block(x)
        return x


@pytest.mark.parametrize("kind", [Shortcut, Rectified])
def test_factors_elsewhere_on_the_identity(found, kind):
    assert [f.rule for f in found(row(kind, 5), MAP)] == ["shrinking-stream"]


@pytest.mark.parametrize("kind", [row(NormedBehind, 5), FixedPoint])
def test_factors_that_shrink_nothing(found, kind):
    assert found(kind, MAP) == ()
