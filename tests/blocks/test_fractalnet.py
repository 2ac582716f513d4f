"""FractalNet: numbers of layers, depths of paths, means, drop-path."""

import pytest
import torch
from torch import nn

from skipstone.blocks.fractalnet import Fractal, Join, fractal_block
from skipstone.core.errors import SkipstoneError


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5])
def test_layers_and_longest_path(columns: int) -> None:
    block = Fractal(lambda first: _Doubled(), columns).double()
    assert sum(isinstance(m, _Doubled) for m in block.modules()) == 2**columns - 1
    with torch.no_grad():
        deepest = block.columns(torch.ones(1, 1, dtype=torch.float64))[-1]
    assert len(block.columns(torch.ones(1, 1))) == columns
    assert deepest.item() >= 2  # at least one layer on it
    assert _longest(columns) == 2 ** (columns - 1)


def _longest(columns: int) -> int:
    """By depth counting: each layer adds one to its input, and a join takes the greatest."""
    block = Fractal(lambda first: _Plus(), columns)
    for module in block.modules():
        if isinstance(module, Join):
            module.forward = lambda ends: torch.stack(tuple(ends)).amax(dim=0)
    return int(block(torch.zeros(1)).item())


class _Doubled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


class _Plus(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def test_two_columns_are_the_mean_of_one_layer_and_two() -> None:
    block = fractal_block(4, 4, 2).eval()
    x = torch.randn(2, 4, 5, 5)
    columns = block.columns
    want = (columns.layer(x) + columns.lower.layer(columns.upper.layer(x))) / 2
    torch.testing.assert_close(block(x), want)


def test_drop_path_always_keeps_an_input_and_averages_those_kept() -> None:
    torch.manual_seed(0)
    join = Join(0.9)
    weights = torch.stack([join.weights(3, torch.zeros(())) for _ in range(1000)])
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1000))
    assert ((weights > 0).sum(dim=1) >= 1).all()
    assert 0.03 < ((weights > 0).sum(dim=1) > 1).float().mean() < 0.35  # 0.19 expected


def test_evaluation_takes_the_plain_mean() -> None:
    columns = [torch.full((1, 1), 1.0), torch.full((1, 1), 4.0)]
    assert Join(0.9).eval()(columns).item() == 2.5


def test_bad_settings() -> None:
    with pytest.raises(SkipstoneError, match="at least one column, not 0"):
        fractal_block(4, 4, 0)
    with pytest.raises(SkipstoneError, match="below 1, not 1"):
        Join(1)
