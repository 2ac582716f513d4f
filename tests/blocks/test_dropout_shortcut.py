"""Dropout on the shortcut: its mean is the identity."""

import torch
from torch import nn

from skipstone.blocks.dropout_shortcut import DropoutShortcut


def test_the_mean_over_masks_is_the_evaluation_output() -> None:
    torch.manual_seed(0)
    block = DropoutShortcut(nn.Linear(4, 4), 0.5)
    x = torch.randn(1, 4)
    want = block.eval()(x)
    assert torch.equal(want, x + block.branch(x))
    block.train()
    draws = torch.stack([block(x) for _ in range(4000)])
    # one element's deviation is |x| for p = 0.5
    assert ((draws.mean(dim=0) - want).abs() < 5 * x.abs() / 4000**0.5).all()


def test_one_training_output_is_not_the_evaluation_output() -> None:
    torch.manual_seed(0)
    block = DropoutShortcut(nn.Linear(64, 64), 0.5)
    x = torch.randn(1, 64)
    assert not torch.allclose(block(x), block.eval()(x))
