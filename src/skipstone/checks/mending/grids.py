"""Tokens that are the places of a map: how many rows and columns, and how many tokens stand before them."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isqrt

from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import has_role

_MOST = 16  # tokens before the places: a class token, one for distillation, registers


@dataclass(frozen=True, slots=True)
class Grid:
    """`first` tokens, then `rows` times `columns` places, row by row."""

    first: int
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}"


def grid_of(subject: Subject, index: int, axis: int) -> Grid | None:
    """The map that a node's tokens along `axis` were, None where they come of no map or end in other tokens."""
    count = subject.graph[index].shape[axis]
    for node in _maps(subject, index):
        features = subject.layout.feature_axis(node.index)
        pairs = [node.shape[a : a + 2] for a in range(1, len(node.shape) - 1) if features not in (a, a + 1)]
        fitting = [(count - r * c, r, c) for r, c in pairs if min(r, c) > 1 and 0 <= count - r * c <= _MOST]
        if fitting:
            found = Grid(*min(fitting))
            return found if _stand_first(subject, index, axis, found.first) else None
    return None


def table_grid(subject: Subject, index: int, axis: int, tokens: Grid) -> Grid | None:
    """The map that a table was made for: as its own making shows, else square, else as wide for its height."""
    count = subject.graph[index].shape[axis] - tokens.first
    shown = grid_of(subject, index, axis)
    if shown is not None and shown.first == tokens.first:
        return shown
    side = isqrt(max(count, 0))
    if side and side * side == count:
        return Grid(tokens.first, side, side)
    rows = round((max(count, 0) * tokens.rows / tokens.columns) ** 0.5)
    return Grid(tokens.first, rows, count // rows) if rows and count % rows == 0 else None


def _maps(subject: Subject, index: int) -> Iterator[Node]:
    """What a node comes of and is a map of two axes behind the samples, the latest first."""
    for node in reversed(subject.graph.nodes[: index + 1]):
        if len(node.shape) > 3 and subject.ancestry.leads_to(node.index, index):
            yield node


def _stand_first(subject: Subject, index: int, axis: int, first: int) -> bool:
    """Do the tokens that are no places stand before them?"""
    graph: Graph = subject.graph
    while first:
        node = graph[index]
        if node.op == "cat":
            return graph[node.inputs[0]].shape[axis] <= first
        if not node.inputs or not (has_role(node, "transparent", "norm") or node.op == "add"):
            return True
        index = node.inputs[0]
    return True
