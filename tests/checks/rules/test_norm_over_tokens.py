"""Norm over tokens: told where positions are taken for channels; silent where the axis was made or the input's own."""

import pytest
from torch import nn

from networks import Attention, mlp

TOKENS = (4, 12, 16)


class OverTokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp, self.attn, self.norm, self.out = nn.Linear(16, 16), Attention(), nn.BatchNorm1d(12), mlp()

    def forward(self, x):
        x = self.inp(x)
        return self.out(self.norm(x + self.attn(x)))


class OverFeatures(OverTokens):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x):
        x = self.inp(x)
        return self.out(self.norm((x + self.attn(x)).transpose(1, 2)).transpose(1, 2))


class OfChannels(nn.Module):
    """(batch, channels, steps) as a one-dimensional convolution takes it."""

    def __init__(self):
        super().__init__()
        self.first, self.conv, self.norm = nn.BatchNorm1d(12), nn.Conv1d(12, 12, 3, padding=1), nn.BatchNorm1d(12)

    def forward(self, x):
        return self.norm(self.conv(self.first(x))) + x


def test_found(found):
    (finding,) = found(OverTokens, TOKENS)
    assert (finding.rule, finding.module) == ("norm-over-tokens", "norm")


@pytest.mark.parametrize("kind", [OverFeatures, OfChannels])
def test_left_alone(found, kind):
    assert found(kind, TOKENS) == ()


def test_it_runs_at_one_length_alone():
    import torch

    model = OverTokens()
    assert model(torch.randn(TOKENS)).shape == TOKENS
    with pytest.raises(RuntimeError):
        model(torch.randn(4, 13, 16))


def test_text(found, text, golden):
    golden("norm-over-tokens.txt", text(found(OverTokens, TOKENS)[0]))


class OfSensors(nn.Module):
    """Linear layers over the time of (batch, sensors, time), normed sensor by sensor (TSMixer, 2303.06053)."""

    def __init__(self):
        super().__init__()
        self.time, self.norm, self.back = nn.Linear(16, 24), nn.BatchNorm1d(12), nn.Linear(24, 16)

    def forward(self, x):
        return x + self.back(self.norm(self.time(x)).relu())


class Pooled(nn.Module):
    """Tokens that a mean takes together."""

    def __init__(self):
        super().__init__()
        self.inp, self.norm, self.out = nn.Linear(16, 24), nn.BatchNorm1d(12), nn.Linear(24, 3)

    def forward(self, x):
        return self.out(self.norm(self.inp(x)).relu().mean(1))


def test_the_second_axis_must_be_proven_to_count_tokens(found):
    assert found(OfSensors, TOKENS) == ()
    assert [f.rule for f in found(Pooled, TOKENS)] == ["norm-over-tokens"]
