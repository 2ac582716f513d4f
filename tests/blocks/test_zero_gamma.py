"""Zero gamma: the block starts as its shortcut."""

import pytest
import torch
from torch import nn

from skipstone.blocks import basic_branch, shortcut
from skipstone.blocks.parts.residual import BranchError, Residual
from skipstone.blocks.zero_gamma import ZeroGamma


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_at_initialisation_it_is_the_activated_shortcut(dtype: torch.dtype, training: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 7, 7, dtype=dtype)
    block = ZeroGamma(basic_branch(4, 4)).to(dtype).train(training)
    assert torch.equal(block(x), torch.relu(x))
    path = shortcut("B", 4, 8, 2)
    block = ZeroGamma(basic_branch(4, 8, 2), path).to(dtype).train(training)
    assert torch.equal(block(x), torch.relu(path(x)))


def test_an_ordinary_block_is_not() -> None:
    x = torch.randn(2, 4, 7, 7)
    assert not torch.allclose(Residual(basic_branch(4, 4), activation=nn.ReLU())(x), torch.relu(x))


@pytest.mark.parametrize("branch", [basic_branch(4, 4, norm_name="none"), nn.BatchNorm2d(4, affine=False)])
def test_a_branch_that_does_not_end_in_a_norm_is_refused(branch: nn.Module) -> None:
    with pytest.raises(BranchError, match="wants a branch whose last layer is a norm with a scale"):
        ZeroGamma(branch)
