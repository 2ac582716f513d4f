"""Orthogonal residual update: what is added has no component along the stream."""

import pytest
import torch
from torch import nn

from skipstone.blocks.orthogonal_update import OrthogonalUpdate, orthogonal_part
from skipstone.core.errors import UnknownNameError


@pytest.mark.parametrize(("over", "axes"), [("channels", (1,)), ("all", (1, 2, 3))])
def test_the_update_is_orthogonal_to_the_stream(over: str, axes: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    block = OrthogonalUpdate(nn.Conv2d(8, 8, 3, padding=1), over=over, eps=0.0).double()
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    update = block(x) - x
    along = (update * x).sum(axes)
    assert along.abs().max() < 1e-12
    assert (block.branch(x) * x).sum(axes).abs().max() > 0.1
    assert update.norm() > 0.1


def test_what_lies_along_the_stream_adds_nothing() -> None:
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    assert orthogonal_part(3 * x, x, eps=0.0).abs().max() < 1e-12


def test_an_unknown_range_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown range of the products 'channel'; nearest: channels"):
        OrthogonalUpdate(nn.Identity(), over="channel")
