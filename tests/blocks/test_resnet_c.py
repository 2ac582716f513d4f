"""Option C: a projection in every block."""

import pytest
from torch import nn

from skipstone.blocks import basic_block, basic_branch
from skipstone.blocks.resnet_c import ResNetC


@pytest.mark.parametrize(("channels", "wanted"), [(4, 4), (4, 8)])
def test_every_shortcut_has_its_projection(channels: int, wanted: int) -> None:
    block = ResNetC(basic_branch(channels, wanted), channels, wanted)
    assert sum(p.numel() for p in block.shortcut.parameters()) == channels * wanted + 2 * wanted
    assert isinstance(basic_block(channels, channels, shortcut_name="B").shortcut, nn.Identity)
