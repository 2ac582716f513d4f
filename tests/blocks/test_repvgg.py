"""RepVGG: the fold, in evaluation mode."""

import pytest
import torch
from torch import nn

from skipstone.blocks.repvgg import RepVGG


def made(channels: int, wanted: int, stride: int, dims: int, dtype: torch.dtype) -> tuple[RepVGG, torch.Tensor]:
    torch.manual_seed(0)
    block = RepVGG(channels, wanted, stride, dims=dims).to(dtype)
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(4, channels, *[7] * dims, dtype=dtype)
    block(x + 1)  # batch statistics other than 0 and 1
    return block, x


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("channels", "wanted", "stride"), [(4, 4, 1), (4, 6, 1), (4, 4, 2)])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_fold_is_equal(
    dims: int, channels: int, wanted: int, stride: int, dtype: torch.dtype, bound: float
) -> None:
    block, x = made(channels, wanted, stride, dims, dtype)
    block.eval()
    want, got = block(x), block.fold()(x)
    assert ((got - want).abs().max() / want.abs().max()).item() < bound
    assert sum(p.numel() for p in block.fold().parameters()) == wanted * (channels * 3**dims + 1)


def test_in_training_mode_it_is_not() -> None:
    block, x = made(4, 4, 1, 2, torch.float64)
    assert not torch.allclose(block.fold()(x), block(x), atol=1e-3)


def test_the_identity_branch_is_there_only_where_nothing_changes() -> None:
    assert RepVGG(4, 4).identity is not None
    assert RepVGG(4, 6).identity is RepVGG(4, 4, 2).identity is None
