"""Highway: the gate's two ends, and the table of carries."""

import pytest
import torch
from torch import nn

from skipstone.blocks.highway import Highway


def at(gate_bias: float, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    branch = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
    layer = Highway(branch, 8, gate_bias=gate_bias, dims=0)
    return layer(x), branch(x)


def test_shut_returns_its_input() -> None:
    x = torch.randn(4, 8)
    assert torch.equal(at(-50, x)[0], x)
    assert not torch.equal(at(-2, x)[0], x)


def test_open_returns_the_branch_exactly() -> None:
    x = torch.randn(4, 8)
    assert torch.equal(*at(50, x))
    assert not torch.equal(*at(2, x))


@pytest.mark.parametrize(
    ("bias", "gate", "carry"), [(-1, 0.2689, 1.6e-7), (-2, 0.1192, 0.0018), (-3, 0.0474, 0.088), (-6, 0.00247, 0.884)]
)
def test_gate_and_carry_at_the_usual_biases(bias: float, gate: float, carry: float) -> None:
    opened = torch.sigmoid(torch.tensor(float(bias), dtype=torch.float64)).item()
    assert opened == pytest.approx(gate, rel=2e-3)
    assert (1 - opened) ** 50 == pytest.approx(carry, rel=0.03)


def test_fifty_layers_carry_what_the_table_says() -> None:
    """Branches at zero and gate weights at zero: what arrives is (1 - T)^50 of the input."""
    layers = [Highway(nn.Identity(), 4, gate_bias=-2, dims=0) for _ in range(50)]
    x = y = torch.randn(3, 4, dtype=torch.float64)
    for layer in layers:
        layer.double().branch = _Zero()
        nn.init.zeros_(layer.gate.weight)
        y = layer(y)
    torch.testing.assert_close(y, x * (1 - torch.sigmoid(torch.tensor(-2.0, dtype=torch.float64))) ** 50)


class _Zero(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x)
