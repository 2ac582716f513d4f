"""PyramidNet: the shortcut without parameters, the widths."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from skipstone.blocks.pyramidnet import pyramid_block, pyramid_bottleneck, pyramid_shortcut, widths
from skipstone.shapes.arithmetic import SizeError


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_shortcut_passes_the_pooled_input_beside_zero_channels(size: int, stride: int) -> None:
    shortcut = pyramid_shortcut(4, 7, stride)
    assert sum(p.numel() for p in shortcut.parameters()) == 0
    x = torch.randn(2, 4, size, size)
    pooled = F.avg_pool2d(x, stride, ceil_mode=True, count_include_pad=False)
    assert torch.equal(shortcut(x), torch.cat((pooled, torch.zeros(2, 3, *pooled.shape[2:])), dim=1))


def test_nothing_follows_the_sum() -> None:
    block = pyramid_block(4, 6, 2)
    assert block(torch.randn(2, 4, 7, 7)).min() < 0
    assert pyramid_bottleneck(4, 12, 2)(torch.randn(2, 12, 7, 7)).shape == (2, 16, 4, 4)


def test_widths_grow_evenly_to_start_plus_alpha() -> None:
    made = widths(54, 48)
    assert made[0] == 16
    assert made[-1] == 64
    assert list(made) == sorted(made)
    assert {b - a for a, b in pairwise(made)} == {0, 1}


def test_shrinking_channels_are_refused() -> None:
    with pytest.raises(SizeError, match="cannot go from 8 to 4"):
        pyramid_block(8, 4)
