"""Depth-weighted averages: nothing at the start, d(d + 3)/2 weights."""

import pytest
import torch
from torch import nn

from skipstone.blocks.denseformer import DepthWeightedAverage
from skipstone.blocks.parts.residual import Residual


@pytest.mark.parametrize("depth", [1, 2, 5, 12])
def test_count_and_identity_of_the_averages_at_the_start(depth: int) -> None:
    torch.manual_seed(0)
    blocks = [Residual(nn.Linear(4, 4)) for _ in range(depth)]
    model = DepthWeightedAverage(blocks)
    assert sum(p.numel() for p in model.weights) == depth * (depth + 3) // 2
    x = torch.randn(3, 4)
    assert torch.equal(model(x), nn.Sequential(*blocks)(x))
    with torch.no_grad():
        model.weights[0][0] = 0.5
    assert not torch.equal(model(x), nn.Sequential(*blocks)(x))


def test_every_average_is_over_all_outputs_so_far() -> None:
    torch.manual_seed(0)
    blocks = [nn.Linear(4, 4) for _ in range(3)]
    model = DepthWeightedAverage(blocks)
    for weights in model.weights:
        nn.init.normal_(weights)
    seen = [torch.randn(3, 4)]
    y = seen[0]
    for block, weights in zip(blocks, model.weights, strict=True):
        seen.append(block(y))
        y = torch.einsum("j,j...->...", weights, torch.stack(seen))
    torch.testing.assert_close(model(seen[0]), y)
