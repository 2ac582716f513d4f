"""Unread input: told where one input takes the place of the other; silent where an input is merely not used."""

import pytest
import torch
from torch import nn

PAIR = ((4, 8), (4, 8))


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, a, b):
        return (self.embed(a / 255) - self.embed(a / 255)).square().sum(1)


class Joined(Siamese):
    def forward(self, a, b):
        return torch.cat([self.embed(a), self.embed(a)], 1)


class Right(Siamese):
    def forward(self, a, b):
        return (self.embed(a) - self.embed(b)).square().sum(1)


class OneIsNotUsed(Siamese):
    """As a target that only training reads."""

    def forward(self, a, b):
        return self.embed(a)


class OfItsSize(Siamese):
    def forward(self, a, b):
        return self.embed(a) + self.embed(a).expand_as(torch.zeros_like(b)[:, :4])


class TwoViews(Siamese):
    """Each call has its own noise before it."""

    def forward(self, a, b):
        return (self.embed(a + 1) - self.embed(a + 2)).square().sum(1)


@pytest.mark.parametrize(("kind", "layer"), [(Siamese, "embed.0"), (Joined, "embed.0")])
def test_found(found, kind, layer):
    (finding,) = found(kind, PAIR)
    assert (finding.rule, finding.module) == ("unread-input", layer)
    assert "nothing reads input1, (4, 8), and embed.0 is given input0 twice" in finding.message


def test_text(found, golden, text):
    golden("unread-input.txt", text(found(Siamese, PAIR)[0]))


@pytest.mark.parametrize("kind", [Right, OneIsNotUsed, OfItsSize, TwoViews])
def test_left_alone(found, kind):
    assert "unread-input" not in [finding.rule for finding in found(kind, PAIR)]


def test_another_shape_is_another_input(found):
    assert "unread-input" not in [finding.rule for finding in found(Siamese, ((4, 8), (4, 3)))]
