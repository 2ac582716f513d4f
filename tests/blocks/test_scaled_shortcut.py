"""Constant scaling: the direct path shrinks as lambda^L."""

import pytest
import torch
from torch import nn

from skipstone.blocks.scaled_shortcut import ScaledShortcut


@pytest.mark.parametrize("depth", [1, 10, 50])
def test_the_direct_gradient_is_lambda_to_the_depth(depth: int) -> None:
    branches = [nn.Linear(4, 4, bias=False) for _ in range(depth)]
    for branch in branches:
        nn.init.zeros_(branch.weight)
    x = torch.randn(3, 4, requires_grad=True)
    nn.Sequential(*(ScaledShortcut(branch, 0.5) for branch in branches))(x).sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 0.5**depth))


def test_a_thousand_blocks_at_099() -> None:
    assert pytest.approx(4.3e-5, rel=0.01) == 0.99**1000


def test_both_scales_are_applied() -> None:
    branch = nn.Linear(4, 4)
    x = torch.randn(3, 4)
    torch.testing.assert_close(ScaledShortcut(branch, 0.25, 2.0)(x), 0.25 * x + 2 * branch(x))
