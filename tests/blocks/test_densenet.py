"""Dense blocks: how channels grow, and what passes unchanged."""

import pytest
import torch
from torch import nn

from skipstone.blocks.densenet import Dense, dense_block, transition
from skipstone.shapes.arithmetic import SizeError


def test_channels_grow_by_k_a_layer() -> None:
    """DenseNet-40, k = 12: 16 -> 160 -> 304 -> 448."""
    x, seen = torch.zeros(1, 16, 32, 32, device="meta"), [16]
    with torch.device("meta"):
        for index in range(3):
            x = dense_block(seen[-1], 12, 12)(x)
            seen.append(x.shape[1])
            x = x if index == 2 else transition(seen[-1])(x)
    assert seen == [16, 160, 304, 448]
    assert x.shape[2:] == (8, 8)


def test_bottleneck_and_compression() -> None:
    """DenseNet-BC-100, k = 12: block ends 216, 300, 342."""
    channels, ends = 24, []
    with torch.device("meta"):
        for _ in range(3):
            ends.append(dense_block(channels, 12, 16, bottleneck=True)(torch.zeros(1, channels, 4, 4)).shape[1])
            channels = transition(ends[-1], 0.5)[2].out_channels
    assert ends == [216, 300, 342]


def test_everything_before_passes_unchanged() -> None:
    block = dense_block(8, 4, 3).eval()
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(block(x)[:, :8], x)
    assert torch.equal(block(x)[:, :12], block[0](x))


def test_a_branch_that_changes_the_size_is_fitted_by_the_planner() -> None:
    branch = nn.Conv2d(4, 6, 3, 2, 1)
    x = torch.randn(2, 4, 9, 9)
    assert Dense(branch, example=(4, 9, 9))(x).shape == (2, 10, 5, 5)
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        Dense(branch)(x)
    with pytest.raises(SizeError, match="possible:"):
        Dense(branch, example=(4, 9, 9), plan="option_a")
