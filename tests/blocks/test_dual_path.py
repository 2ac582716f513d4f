"""Dual path: a residual sum and a concatenation in one block."""

import torch

from skipstone.blocks.dual_path import dual_path_block


def test_what_is_added_what_passes_and_what_is_new() -> None:
    block = dual_path_block(12, 8, 3, width=4).eval()
    x = torch.randn(2, 12, 5, 5)
    y, branch = block(x), block.branch(x)
    assert y.shape == (2, 15, 5, 5)
    assert torch.equal(y[:, :8], x[:, :8] + branch[:, :8])
    assert torch.equal(y[:, 8:12], x[:, 8:])
    assert torch.equal(y[:, 12:], branch[:, 8:])


def test_the_first_block_of_a_stage_gives_r_plus_3k_channels_at_half_the_size() -> None:
    block = dual_path_block(12, 8, 3, width=4, stride=2, project=True)
    assert block(torch.randn(2, 12, 7, 7)).shape == (2, 8 + 3 * 3, 4, 4)
