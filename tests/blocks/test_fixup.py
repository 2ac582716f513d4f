"""Fixup: the identity at the start, the scalars, the rule."""

import pytest
import torch
from torch import nn

from skipstone.blocks.fixup import Fixup, fixup_block
from skipstone.blocks.parts.residual import BranchError


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_at_initialisation_it_is_the_identity_on_what_is_not_negative(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 6, dtype=dtype)
    block = fixup_block(4, 4, num_blocks=54).to(dtype)
    assert torch.equal(block(x.relu()), x.relu())
    assert not torch.equal(block(x), x)
    nn.init.normal_(block.layers[-1].weight)
    assert not torch.equal(block(x.relu()), x.relu())


@pytest.mark.parametrize("num_layers", [2, 3, 4])
def test_two_m_plus_one_scalars_and_the_rule(num_layers: int) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(64, 64, bias=False) for _ in range(num_layers)]
    block = Fixup(layers, 16)
    assert sum(p.numel() == 1 for p in block.parameters()) == 2 * num_layers + 1
    assert layers[-1].weight.abs().sum() == 0
    want = (2 / 64) ** 0.5 * 16 ** (-1 / (2 * num_layers - 2))
    assert layers[0].weight.std().item() == pytest.approx(want, rel=0.05)


def test_the_first_step_moves_the_last_layer_alone() -> None:
    block = fixup_block(4, 4, num_blocks=3)
    block(torch.rand(2, 4, 6, 6)).square().sum().backward()
    assert block.layers[0].weight.grad.abs().sum() == 0
    assert block.layers[1].weight.grad.abs().sum() > 0


def test_one_layer_is_refused() -> None:
    with pytest.raises(BranchError, match="m >= 2 layers, not 1"):
        Fixup([nn.Linear(4, 4)], 2)
