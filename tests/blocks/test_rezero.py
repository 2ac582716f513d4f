"""ReZero: the identity, its Jacobian, and which gradients the first step has."""

import pytest
import torch
from torch import nn

from skipstone.blocks import basic_branch
from skipstone.blocks.parts.residual import Residual
from skipstone.blocks.rezero import ReZero


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_at_initialisation_output_equals_input(dtype: torch.dtype, training: bool) -> None:
    torch.manual_seed(0)
    deep = nn.Sequential(*(ReZero(basic_branch(4, 4)) for _ in range(20))).to(dtype).train(training)
    x = torch.randn(2, 4, 6, 6, dtype=dtype)
    assert torch.equal(deep(x), x)
    with torch.no_grad():
        deep[3].alpha.fill_(0.1)
    assert not torch.equal(deep(x), x)


def deep(wrap: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*(wrap(nn.Sequential(nn.Linear(16, 16), nn.ReLU())) for _ in range(32))).double()


def test_all_singular_values_of_the_jacobian_are_one() -> None:
    x = torch.randn(16, dtype=torch.float64)
    values = torch.linalg.svdvals(torch.autograd.functional.jacobian(deep(ReZero), x))
    torch.testing.assert_close(values, torch.ones(16, dtype=torch.float64), rtol=0, atol=1e-14)
    plain = torch.linalg.svdvals(torch.autograd.functional.jacobian(deep(Residual), x))
    assert plain.max() / plain.min() > 100


def test_the_first_step_moves_alpha_and_not_the_branch() -> None:
    block = ReZero(nn.Linear(4, 4))
    block(torch.randn(3, 4)).square().sum().backward()
    assert block.branch.weight.grad.abs().sum() == 0
    assert block.alpha.grad.abs() > 0
