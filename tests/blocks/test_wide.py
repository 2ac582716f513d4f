"""Wide blocks: width enters squared."""

import pytest
import torch
from torch import nn

from skipstone.blocks.wide import wide_block


def weights(model: nn.Module) -> int:
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3))


@pytest.mark.parametrize("widen", [2, 4, 10])
def test_k_times_the_width_has_k_squared_times_the_weights(widen: int) -> None:
    with torch.device("meta"):
        assert weights(wide_block(16 * widen, 16 * widen)) == widen**2 * weights(wide_block(16, 16))


def test_dropout_stands_between_the_convolutions_and_rests_in_evaluation() -> None:
    block = wide_block(8, 8, dropout=0.5)
    names = [type(m).__name__ for m in block.branch]
    assert names == ["Conv2d", "BatchNorm2d", "ReLU", "Dropout", "Conv2d"]
    x = torch.randn(2, 8, 5, 5)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
