"""Gated shortcuts: the two forms at the gate's ends."""

import torch
from torch import nn

from skipstone.blocks.gated_shortcut import GatedShortcut


def made(gate_bias: float, exclusive: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    branch = nn.Conv2d(4, 4, 3, padding=1)
    block = GatedShortcut(branch, 4, gate_bias=gate_bias, exclusive=exclusive)
    x = torch.randn(2, 4, 5, 5)
    return block(x), x, branch(x)


def test_shut_gate() -> None:
    y, x, _ = made(-50, exclusive=True)
    assert torch.equal(y, x)
    y, x, branch = made(-50, exclusive=False)
    assert torch.equal(y, x + branch)


def test_open_gate() -> None:
    y, _, branch = made(50, exclusive=True)
    assert torch.equal(y, branch)
    y, _, branch = made(50, exclusive=False)
    assert torch.equal(y, branch)


def test_half_open_is_neither() -> None:
    y, x, branch = made(0, exclusive=True)
    assert not torch.allclose(y, x)
    assert not torch.allclose(y, branch)
