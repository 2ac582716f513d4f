"""LayerScale: near the identity, within eps of it; dead in a bfloat16 stream."""

import pytest
import torch
from torch import nn

from skipstone.blocks.layer_scale import LayerScale


@pytest.mark.parametrize("eps", [1e-1, 1e-5, 1e-6])
def test_at_initialisation_the_block_moves_its_input_by_eps_times_the_branch(eps: float) -> None:
    torch.manual_seed(0)
    branch = nn.Linear(8, 8).double()
    block = LayerScale(branch, 8, eps).double()
    x = torch.randn(4, 8, dtype=torch.float64)
    moved, bound = (block(x) - x).norm(), branch(x).norm() * torch.tensor(eps).double()  # eps as float32 holds it
    assert 0 < moved <= bound * (1 + 1e-6)


def test_in_bfloat16_the_branch_at_1e_6_is_rounded_away_whole() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 8)
    block = LayerScale(nn.Linear(8, 8), 8, 1e-6)
    assert torch.equal(block.bfloat16()(x.bfloat16()), x.bfloat16())
    assert not torch.equal(block.float()(x), x)


def test_channels_on_the_last_axis() -> None:
    block = LayerScale(nn.Linear(8, 8), 8, axis=-1)
    with torch.no_grad():
        block.gamma.copy_(torch.arange(8.0))
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(block(x), x + torch.arange(8.0) * block.branch(x))
