"""Option A: no parameters, both layouts, odd sizes, stride without new channels, and a clear refusal."""

import pytest
import torch
from torch import nn

from skipstone.blocks import basic_block, basic_branch, option_a
from skipstone.blocks.resnet_a import ResNetA
from skipstone.shapes.arithmetic import SizeError


@pytest.mark.parametrize("layout", ["after", "both"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("channels", "wanted"), [(4, 4), (4, 8), (4, 7), (3, 16)])
@pytest.mark.parametrize("size", [8, 9, 11])
def test_it_has_no_parameters_and_fits_the_branch(
    layout: str, stride: int, channels: int, wanted: int, size: int
) -> None:
    shortcut = option_a(channels, wanted, stride, layout)
    assert sum(p.numel() for p in shortcut.parameters()) == 0
    x = torch.randn(2, channels, size, size)
    assert shortcut(x).shape == nn.Conv2d(channels, wanted, 3, stride, 1)(x).shape


def test_the_two_layouts_differ_in_where_the_zeros_stand_alone() -> None:
    x = torch.randn(2, 4, 6, 6)
    after, both = option_a(4, 10, 2, "after")(x), option_a(4, 10, 2, "both")(x)
    assert torch.equal(after[:, :4], x[:, :, ::2, ::2])
    assert torch.equal(both[:, 3:7], x[:, :, ::2, ::2])
    assert after[:, 4:].abs().sum() == 0
    assert both[:, :3].abs().sum() == both[:, 7:].abs().sum() == 0
    assert not torch.equal(after, both)


def test_equal_shapes_give_the_identity() -> None:
    assert isinstance(option_a(8, 8), nn.Identity)


def test_shrinking_channels_are_refused() -> None:
    with pytest.raises(SizeError, match=r"cannot go from 16 to 8; use a projection \(option B\)"):
        ResNetA(basic_branch(16, 8), 16, 8)


def test_the_block_is_the_sum_it_says() -> None:
    block = basic_block(4, 8, 2, shortcut_name="A").eval()
    x = torch.randn(2, 4, 7, 7)
    padded = torch.cat((x[:, :, ::2, ::2], torch.zeros(2, 4, 4, 4)), dim=1)
    assert torch.equal(block(x), torch.relu(padded + block.branch(x)))
