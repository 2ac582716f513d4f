"""Which sizes run, by really running them."""

from contextlib import suppress

import pytest
import torch

from skipstone.models.tutorials import TwoConvResidual, TwoConvResidualRepaired


def output_shapes(network: torch.nn.Module, sizes: range) -> dict[int, tuple[int, ...]]:
    shapes = {}
    for h in sizes:
        with suppress(RuntimeError):
            shapes[h] = tuple(network(torch.zeros(1, 3, h, h)).shape)
    return shapes


def test_only_3_and_4_fit_and_1_runs_by_broadcasting():
    assert output_shapes(TwoConvResidual(), range(1, 65)) == {
        1: (1, 3, 3, 3),
        3: (1, 3, 3, 3),
        4: (1, 3, 4, 4),
    }


def test_printed_shape_is_not_what_happens():
    network = TwoConvResidual()
    first = network.conv1(torch.zeros(1, 3, 32, 32))
    assert first.shape == (1, 6, 18, 18)
    assert network.conv2(first).shape == (1, 3, 11, 11)
    with pytest.raises(RuntimeError, match=r"tensor a \(32\) must match the size of tensor b \(11\)"):
        network(torch.zeros(1, 3, 32, 32))


def test_repair_keeps_every_size():
    shapes = output_shapes(TwoConvResidualRepaired(), range(1, 65))
    assert shapes == {h: (1, 3, h, h) for h in range(1, 65)}
