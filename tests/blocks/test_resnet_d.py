"""ResNet-D: pooling then 1x1 is a tied 2x2 convolution; odd sizes fit."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.blocks import basic_branch
from skipstone.blocks.resnet_d import ResNetD


def test_pooling_then_1x1_is_one_2x2_convolution_with_tied_taps() -> None:
    torch.manual_seed(0)
    shortcut = ResNetD(basic_branch(4, 8, 2), 4, 8, 2).shortcut.double()
    x = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    tied = shortcut.conv.weight.expand(-1, -1, 2, 2) / 4
    torch.testing.assert_close(shortcut.conv(shortcut.pool(x)), F.conv2d(x, tied, stride=2), rtol=0, atol=1e-13)


@pytest.mark.parametrize("size", range(1, 12))
def test_odd_sizes_fit_and_would_not_without_rounding_up(size: int) -> None:
    block = ResNetD(basic_branch(4, 8, 2), 4, 8, 2)
    x = torch.randn(2, 4, size, size)
    assert block(x).shape[2] == (size + 1) // 2
    if size % 2 and size > 1:
        assert nn.AvgPool2d(2)(x).shape[2] == size // 2 != block(x).shape[2]


def test_at_the_border_real_positions_alone_are_counted() -> None:
    pooled = ResNetD(basic_branch(1, 2, 2), 1, 2, 2).shortcut.pool(torch.ones(1, 1, 3, 3))
    assert torch.equal(pooled, torch.ones(1, 1, 2, 2))
