"""ConvNeXt: near the identity at the start, and its count."""

import pytest
import torch

from skipstone.blocks.convnext import ConvNeXt, downsample


@pytest.mark.parametrize(("channels", "kernel"), [(8, 7), (16, 3), (96, 7)])
def test_count(channels: int, kernel: int) -> None:
    count = sum(p.numel() for p in ConvNeXt(channels, kernel=kernel).parameters())
    assert count == 8 * channels**2 + channels * (kernel**2 + 9)


def test_at_initialisation_the_block_moves_its_input_by_eps_times_the_branch() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 8, 9, 9, dtype=torch.float64)
    block = ConvNeXt(8).double()
    moved = (block(x) - x).norm()
    with torch.no_grad():
        block.gamma.fill_(1)
    branch = (block(x) - x).norm()
    assert 0 < moved <= branch * 1e-6 * (1 + 1e-6)


def test_stages_are_joined_by_halving() -> None:
    assert downsample(8, 16)(torch.randn(2, 8, 9, 8)).shape == (2, 16, 4, 4)


def test_survival_drops_whole_examples_in_training() -> None:
    torch.manual_seed(0)
    block = ConvNeXt(4, eps=1.0, kernel=3, survival=0.5)
    x = torch.randn(400, 4, 3, 3)
    dropped = (block(x) == x).flatten(1).all(dim=1).float().mean()
    assert 0.4 < dropped < 0.6
    assert not (block.eval()(x) == x).flatten(1).all(dim=1).any()
