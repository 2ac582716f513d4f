"""Option B: parameters just where the shape changes."""

import pytest
import torch
from torch import nn

from skipstone.blocks import basic_branch
from skipstone.blocks.parts.residual import Residual
from skipstone.blocks.resnet_b import ResNetB


@pytest.mark.parametrize(
    ("channels", "wanted", "stride", "count"), [(4, 4, 1, 0), (4, 8, 1, 48), (4, 4, 2, 24), (8, 4, 2, 40)]
)
def test_parameters_just_where_channels_or_stride_change(channels: int, wanted: int, stride: int, count: int) -> None:
    block = ResNetB(basic_branch(channels, wanted, stride), channels, wanted, stride)
    assert sum(p.numel() for p in block.shortcut.parameters()) == count
    assert isinstance(block.shortcut, nn.Identity) is (count == 0)
    assert block(torch.randn(2, channels, 9, 9)).shape[1] == wanted


def test_any_branch_is_fitted_by_the_planner() -> None:
    """A branch that halves 32 to 18 and 11: the planner's shortcut gives 11, whatever the branch is."""
    branch = nn.Sequential(nn.Conv2d(3, 6, 2, 2, 2), nn.ReLU(), nn.Conv2d(6, 3, 2, 2, 2))
    assert Residual(branch, example=(3, 32, 32))(torch.randn(2, 3, 32, 32)).shape == (2, 3, 11, 11)
    with pytest.raises(RuntimeError, match="must match"):
        Residual(branch)(torch.randn(2, 3, 32, 32))
