"""Costs of one input: what is computed is shared out over the batch, parameters are not."""

import pytest
from torch import nn

from skipstone import trace
from skipstone.core.cost import Cost
from skipstone.graphs.costs import batch_of, cost
from skipstone.surgery import plan_connection


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_one_input_costs_the_same_whatever_batch_was_recorded(batch):
    graph = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (batch, 3, 8, 8))
    assert batch_of(graph) == batch
    assert cost(graph).for_one(batch) == Cost(3 * 4 * 9 + 4, 4 * 27 * 36, 2 * 4 * 4 * 36)


def test_what_a_connection_costs_is_told_for_one_input():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    told = {str(plan_connection(network, "0", "2", example=(batch, 3, 8, 8)).cost) for batch in (2, 6)}
    assert len(told) == 1
    assert str(plan_connection(network, "0", "2", example=(2, 3, 8, 8))).endswith("activation bytes, for one input")
