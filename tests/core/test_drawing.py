"""Drawings of recorded networks; the recording itself is tested elsewhere."""

import torch
from torch import nn
from torch.nn import functional as F

from skipstone.core.drawing import Arc, Drawing, Row, condense, draw, lanes
from skipstone.skips import find_skips
from skipstone.tracing import trace


class Block(nn.Module):
    """A residual block with a projection whose addition stands between modules."""

    def __init__(self, before, after):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.short = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x):
        return self.relu(self.conv2(self.relu(self.conv1(x))) + self.short(x))


class Functional(nn.Module):
    """A leaf module that holds a whole skip: it must be opened to be drawn."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4))
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return x + F.linear(F.relu(F.linear(x, self.weight)), self.weight * self.scale)


def drawn(model, shape, title=""):
    graph = trace(model, shape)
    return draw(graph, find_skips(graph), title)


def test_a_row_a_layer_and_an_arc_a_skip():
    drawing = drawn(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), Block(8, 8), Block(8, 16)), (2, 3, 8, 8), "two blocks")
    assert [(row.name, row.what, row.kind) for row in drawing.rows[:7]] == [
        ("input0", "input", "input"),
        ("0", "Conv2d", "conv"),
        ("1.conv1", "Conv2d", "conv"),
        ("1.relu", "ReLU", "activation"),
        ("1.conv2", "Conv2d", "conv"),
        ("1.add", "add", "merge"),
        ("1.relu", "ReLU", "activation"),
    ]
    assert drawing.rows[1].shape == (2, 8, 8, 8)
    assert drawing.rows[1].num_parameters == 3 * 8 * 9 + 8
    assert drawing.arcs == (Arc(1, 5, "identity", "add", 2), Arc(6, 11, "projection", "add", 2))
    assert drawing.num_parameters == sum(row.num_parameters for row in drawing.rows)
    assert drawing.title == "two blocks"


def test_a_module_with_a_skip_inside_is_opened():
    drawing = drawn(nn.Sequential(nn.Linear(4, 4), Functional()), (2, 4))
    assert [row.what for row in drawing.rows] == ["input", "Linear", "linear", "relu", "linear", "add"]
    assert [(arc.source, arc.target) for arc in drawing.arcs] == [(1, 5)]


def test_a_module_used_twice_holds_its_parameters_once():
    layer = nn.Linear(4, 4)
    drawing = drawn(nn.Sequential(layer, nn.ReLU(), layer), (2, 4))
    assert [row.num_parameters for row in drawing.rows] == [0, 20, 0, 0]


def test_a_refused_operation_is_drawn_with_its_shapes():
    drawing = drawn(Broken(), (2, 3, 8, 8))
    assert drawing.rows[-1].failure == "add of (2, 3, 4, 4) and (2, 3, 8, 8)"


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x) + x


def test_condensing_moves_the_ends_of_arcs_back_to_what_is_left():
    kinds = ("conv", "norm", "activation", "conv", "norm", "merge")
    rows = tuple(Row(str(i), kind, kind, (1,)) for i, kind in enumerate(kinds))
    small = condense(
        Drawing("", rows, (Arc(2, 5, "identity", "add", 1), Arc(1, 2, "gate", "mul", 0)), 0), ("conv", "merge")
    )
    assert [row.name for row in small.rows] == ["0", "3", "5"]
    assert small.arcs == (Arc(0, 2, "identity", "add", 1),)


def test_arcs_in_a_lane_never_overlap():
    arcs = [Arc(a, b, "identity", "add", 1) for a, b in ((0, 3), (3, 6), (0, 6), (1, 9), (6, 9), (2, 8))]
    found = lanes(arcs)
    for i, a in enumerate(arcs):
        for j, b in enumerate(arcs[:i]):
            if found[i] == found[j]:
                assert a.target <= b.source or b.target <= a.source
    assert found[:2] == (0, 0), "touching arcs share a lane"


def test_a_drawing_comes_back_as_written():
    drawing = drawn(Block(4, 4), (2, 4, 8, 8), "block")
    assert Drawing.from_dict(drawing.to_dict()) == drawing
