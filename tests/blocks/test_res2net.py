"""Res2Net: which part depends on which."""

import pytest
import torch

from skipstone.blocks.parts.residual import BranchError
from skipstone.blocks.res2net import Hierarchy, res2net_block


def test_the_first_part_passes_and_each_other_depends_on_parts_2_to_itself() -> None:
    torch.manual_seed(0)
    hierarchy = Hierarchy(8, 4).eval()
    x = torch.randn(1, 8, 9, 9)
    assert torch.equal(hierarchy(x)[:, :2], x[:, :2])
    reached = torch.zeros(4, 4, dtype=torch.bool)
    for out in range(4):
        probe = x.clone().requires_grad_()
        hierarchy(probe).chunk(4, dim=1)[out].square().sum().backward()
        reached[out] = torch.tensor([part.abs().sum() > 0 for part in probe.grad.chunk(4, dim=1)])
    want = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    assert reached.int().tolist() == want


@pytest.mark.parametrize("size", [7, 8])
def test_with_a_stride_every_part_is_halved(size: int) -> None:
    assert res2net_block(8, 16, 2, width=2)(torch.randn(2, 8, size, size)).shape == (2, 16, 4, 4)


def test_channels_must_divide() -> None:
    with pytest.raises(BranchError, match="a scale of 3 must divide the inner channels, 8"):
        Hierarchy(8, 3)
