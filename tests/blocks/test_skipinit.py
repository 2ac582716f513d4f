"""SkipInit: the shortcut exactly, one parameter a block."""

import pytest
import torch
from torch import nn

from skipstone.blocks import basic_branch
from skipstone.blocks.skipinit import SkipInit


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_at_alpha_zero_it_is_its_shortcut(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 6, dtype=dtype)
    branch = basic_branch(4, 4, norm_name="none")
    assert torch.equal(SkipInit(branch).to(dtype)(x), x)
    assert not torch.equal(SkipInit(branch, 0.1).to(dtype)(x), x)
    path = nn.Conv2d(4, 8, 1, 2)
    assert torch.equal(SkipInit(basic_branch(4, 8, 2), 0.0, path).to(dtype)(x), path(x))


def test_one_parameter_a_block() -> None:
    branch = nn.Linear(4, 4)
    assert sum(p.numel() for p in SkipInit(branch).parameters()) == sum(p.numel() for p in branch.parameters()) + 1
