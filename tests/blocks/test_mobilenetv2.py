"""Inverted residuals: where the skip is, and that nothing bends the narrow end."""

import pytest
import torch
from torch import nn

from skipstone.blocks.mobilenetv2 import InvertedResidual


@pytest.mark.parametrize(("channels", "wanted", "stride"), [(4, 4, 1), (4, 4, 2), (4, 6, 1), (4, 6, 2)])
def test_a_skip_just_at_stride_one_and_equal_channels(channels: int, wanted: int, stride: int) -> None:
    block = InvertedResidual(channels, wanted, stride).eval()
    nn.init.zeros_(block.branch.norm3.weight)
    x = torch.randn(2, channels, 6, 6)
    y = block(x)
    if (channels, stride) == (wanted, 1):
        assert torch.equal(y, x)
    else:
        assert torch.equal(y, torch.zeros_like(y))


def test_the_narrow_end_is_linear() -> None:
    torch.manual_seed(0)
    block = InvertedResidual(4, 6)
    assert block(torch.randn(2, 4, 6, 6)).min() < 0
    assert isinstance(block.branch[-1], nn.BatchNorm2d)


def test_at_expansion_one_nothing_is_widened() -> None:
    assert next(n for n, _ in InvertedResidual(4, 4, expansion=1).branch.named_children()) == "conv2"
