"""Numbers that a device may still be at work on: read once, in order; counts by few operations."""

import pytest
import torch

from skipstone.flow.buckets import buckets, counts, differences, joined
from skipstone.flow.norms import norms, norms_at_once, numbers
from skipstone.flow.readings import Readings


def test_numbers_and_tensors_are_read_in_order():
    found = [1.5, torch.tensor(2.5, dtype=torch.float64), 3, torch.tensor(4.5)]
    assert numbers(found) == [1.5, 2.5, 3.0, 4.5]


def test_each_layers_numbers_in_the_order_they_came():
    readings = Readings()
    readings.add("output", 1, torch.tensor(0.5))
    readings.add_all("output", [0, 1], [2.0, torch.tensor(3.0)])
    assert readings.has("output")
    assert readings.has("output", 0)
    assert not readings.has("output", 2)
    assert not readings.has("gradient")
    assert readings.of("output") == {1: [0.5, 3.0], 0: [2.0]}
    readings.add("output", 2, torch.tensor(4.0))
    assert readings.of("output")[2] == [4.0]
    readings.put("output", {0: 7.0})
    assert readings.of("output") == {0: [7.0]}
    assert readings.of("gradient") == {}


def test_flags_are_counted_alike_by_either_way():
    """Off the CPU by a running count, which no GPU is needed for; a part may be empty."""
    flags = torch.rand(20, generator=torch.Generator().manual_seed(0)) < 0.5
    sizes = [5, 0, 12, 3]
    expected = [int(part.sum()) for part in torch.split(flags, sizes)]
    assert counts(flags, sizes) == numbers(differences(flags, sizes)) == expected


def test_buckets_part_what_is_unlike_and_what_is_long():
    tensors = [torch.zeros(1 << 17), torch.zeros(3), torch.zeros(3).half(), torch.zeros(1 << 18), torch.ones(2)]
    found = sorted(map(tuple, buckets(tensors, [0, 0, 0, 0, 1])))
    assert found == [(0, 1), (2,), (3,), (4,)]
    assert joined([torch.ones(2, 2), torch.zeros(1)]).tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("size", [1e-30, 1e-13, 1.0, 1e16, 1e25])
def test_norms_beyond_the_quick_ones(size):
    values = torch.full((4,), size)
    assert norms([values, None]) == [pytest.approx(2 * float(values[0])), 0.0]
    assert norms_at_once([values.to_sparse()]) == norms([values])
