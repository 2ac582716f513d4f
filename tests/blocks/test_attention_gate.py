"""Attention gates: between 0 and 1, and at 1 the plain skip."""

import torch
from torch import nn

from skipstone.blocks.attention_gate import AttentionGate, AttentionSkip
from skipstone.blocks.unet import LongSkip

INNER = nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2))


def test_every_gate_lies_strictly_between_0_and_1() -> None:
    torch.manual_seed(0)
    gate = AttentionGate(4, 6)
    alpha = gate(torch.randn(2, 4, 9, 9), torch.randn(2, 6, 9, 9))
    assert alpha.shape == (2, 1, 9, 9)
    assert alpha.min() > 0
    assert alpha.max() < 1
    assert alpha.std() > 0


def test_a_gate_held_at_one_gives_the_plain_long_skip() -> None:
    block = AttentionSkip(INNER, 4, 4)
    x = torch.randn(2, 4, 9, 9)
    assert not torch.equal(block(x), LongSkip(INNER)(x))
    nn.init.constant_(block.gate.psi.bias, 100.0)
    assert torch.equal(block(x), LongSkip(INNER)(x))
