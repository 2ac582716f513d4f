"""Networks that are compiled, whole or in part: recorded and run as they are written, and compiled again behind it."""

import pytest
import torch
from torch import nn

from skipstone import check

SHAPE = (2, 3, 6, 6)


class Block(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x)


def compiled(thing):
    return torch.compile(thing, backend="eager")


def by_method(block):
    block.compile(backend="eager")
    return block


class Calls(nn.Module):
    """Calls a compiled function."""

    def __init__(self, block):
        super().__init__()
        self.block, self.add = block, compiled(lambda a, b: 2 * a + b)

    def forward(self, x):
        return self.add(self.block(x), x)


KINDS = {
    "the network": compiled,
    "a part": lambda block: nn.Sequential(compiled(block), Block()),
    "by its own method": by_method,
    "a function in it": Calls,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_correct_one_is_clean_and_was_run(kind):
    model = KINDS[kind](Block())
    report = check(model, SHAPE)
    assert not report.errors
    assert report.partial is None
    assert report.ran.startswith("run: 2 x 3x6x6, forward and backward")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_found(kind):
    (finding,) = check(KINDS[kind](Block(8)), SHAPE, repairs=False).errors
    assert finding.message == "cannot add 3 channels to 8 channels"


@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")  # torch's own, of Python 3.13.0
def test_afterwards_it_compiles_as_before():
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    model = torch.compile(Block(), backend=backend)
    check(model, SHAPE)
    assert not graphs
    model(torch.zeros(SHAPE))
    assert len(graphs) == 1
