"""Shake-Shake: other weights forward and backward."""

import torch
from torch import nn

from skipstone.blocks.shake_shake import ShakeShake, ShiftedProjection, shake


def test_the_value_has_the_forward_weight_and_the_gradient_the_backward_one() -> None:
    first, second = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    y = shake(first, second, torch.tensor(0.9), torch.tensor(0.2))
    torch.testing.assert_close(y, 0.9 * first + 0.1 * second)
    y.sum().backward()
    torch.testing.assert_close(first.grad, torch.full_like(first, 0.2), check_dtype=False, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(second.grad, torch.full_like(second, 0.8), rtol=1e-6, atol=1e-6)


def test_evaluation_takes_the_mean_of_the_branches() -> None:
    torch.manual_seed(0)
    block = ShakeShake([nn.Linear(4, 4), nn.Linear(4, 4)])
    x = torch.randn(3, 4)
    want = x + (block.branch1(x) + block.branch2(x)) / 2
    assert not torch.allclose(block(x), want)
    torch.testing.assert_close(block.eval()(x), want)


def test_each_example_has_its_own_draw() -> None:
    torch.manual_seed(0)
    block = ShakeShake([nn.Linear(4, 4), nn.Linear(4, 4)])
    x = torch.randn(1, 4).expand(6, 4)
    assert len({tuple(row.tolist()) for row in block(x)}) == 6


def test_the_shifted_projection_fits_odd_sizes() -> None:
    for size in range(1, 12):
        x = torch.randn(2, 4, size, size)
        assert ShiftedProjection(4, 8)(x).shape == nn.Conv2d(4, 8, 3, 2, 1)(x).shape
