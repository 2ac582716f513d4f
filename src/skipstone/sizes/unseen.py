"""Refusals that torch's shape code does not show, and that depend on sizes alone.

Positions past a table: `wte(x) + wpe(torch.arange(t))` raises for every t beyond the table's length, but not on tensors
without data. The smallest and the largest index are followed from `arange` through views, sums with numbers and the
differences of two ranges (relative positions); of other indices nothing is said. An unpooling to a map smaller than the
one whose pooling gave the indices: for most values they point outside. And `interpolate` to or from nothing, which only
the kernels refuse.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from skipstone.core.graph import Node, NodeRef
from skipstone.graphs.operations import names
from skipstone.graphs.roles import only_adds_axes
from skipstone.sizes.layouts import Mask, Value
from skipstone.sizes.vector import value_of

_VIEWS = names("keeps largest")


def unseen_refusals(nodes: Sequence[Node], count: int) -> Iterator[tuple[Mask, str]]:
    """For each such operation, the points (of `count`) at which it refuses, and the words."""
    for node in nodes:
        refused, words = next((found for see in _SEEN if (found := see(nodes, node)) is not None), (False, ""))
        mask = np.broadcast_to(np.asarray(refused, dtype=np.bool_), (count,))
        if mask.any():
            yield mask, words


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a lookup of counted positions reaches into its table; both by their nodes, numbers at every point."""

    table: int
    index: int
    first: Value
    last: Value
    least: Value  # the smallest position that the table has: below zero where it counts from the end too
    length: Value

    @property
    def below(self) -> object:
        return np.less(self.first, self.least)

    @property
    def beyond(self) -> object:
        return np.greater_equal(self.last, self.length)


def reach(nodes: Sequence[Node], node: Node) -> Reach | None:
    """Of a lookup whose positions are counted, not computed from data; None for anything else."""
    table, index = _lookup(nodes, node)
    if table is None or index is None:
        return None
    bounds, length = _bounds(nodes, index), value_of(nodes[table].spec.shape[0])
    if bounds is None or length is None:
        return None
    least = 0 if node.op == "embedding" else np.negative(length)
    return Reach(table, index, *bounds, least, length)


def _past_table(nodes: Sequence[Node], node: Node) -> tuple[object, str] | None:
    found = reach(nodes, node)
    if found is None:
        return None
    words = f"IndexError: positions run past the table of {nodes[found.table].name or 'the lookup'}"
    return np.asarray(found.below) | np.asarray(found.beyond), words


def _empty_resize(nodes: Sequence[Node], node: Node) -> tuple[object, str] | None:
    if node.op not in ("interpolate", "upsample") or node.arguments.get("mode") == "area" or not node.inputs:
        return None
    sizes = [value_of(size) for size in (*node.spec.shape[2:], *nodes[node.inputs[0]].spec.shape[2:])]
    empty = [np.equal(np.asarray(size), 0) for size in sizes if size is not None]
    return np.logical_or.reduce(np.broadcast_arrays(*empty)), _EMPTY_RESIZE


def _outside(nodes: Sequence[Node], node: Node) -> tuple[object, str] | None:
    before = before_pooling(nodes, node)
    if before is None:
        return None
    own, pooled = _product(node.spec.shape[2:]), _product(before.spec.shape[2:])
    if own is None or pooled is None:
        return None
    return np.less(own, pooled), f"RuntimeError: {node.op} meets indices outside its map"


def before_pooling(nodes: Sequence[Node], node: Node) -> Node | None:
    """For an unpooling, the map whose pooling gave the indices; None where there is no such pooling."""
    if not node.op.startswith("max_unpool") or len(node.inputs) < 2:
        return None
    indices = nodes[node.inputs[1]]
    return nodes[indices.inputs[0]] if "max_pool" in indices.op and indices.output == 1 else None


def _product(shape: Sequence[int]) -> Value | None:
    sizes = [value for size in shape if (value := value_of(size)) is not None]
    return np.prod(np.broadcast_arrays(*sizes), axis=0) if len(sizes) == len(shape) else None


_SEEN = (_past_table, _outside, _empty_resize)
_EMPTY_RESIZE = "RuntimeError: Input and output sizes should be greater than 0"


def _lookup(nodes: Sequence[Node], node: Node) -> tuple[int | None, int | None]:
    """The table and the index of a lookup along the first axis."""
    if node.op == "embedding" and len(node.inputs) >= 2:
        return node.inputs[1], node.inputs[0]
    index = node.arguments.get("index")
    if node.op == "getitem" and isinstance(index, NodeRef) and nodes[node.inputs[0]].kind in ("parameter", "buffer"):
        integer = nodes[index.index].spec.dtype in ("int64", "int32")
        return (node.inputs[0], index.index) if integer else (None, None)
    return None, None


def _bounds(nodes: Sequence[Node], index: int) -> tuple[Value, Value] | None:
    """The smallest and the largest value a tensor of positions holds, at every point; None where they are not known."""
    node = nodes[index]
    if node.op == "arange" and not node.inputs:
        return _of_range(node)
    kept = node.op in _VIEWS or (node.op == "getitem" and only_adds_axes(node.arguments.get("index")))
    if kept and node.inputs:
        return _bounds(nodes, node.inputs[0])
    if node.op in ("add", "sub"):
        terms = node.arguments.get("input"), node.arguments.get("other")
        first, second = (_term(nodes, term) for term in terms)
        both = all(isinstance(term, NodeRef) for term in terms)
        if first is None or second is None or (both and not _vary_apart(nodes, node)):
            return None
        low, high = second if node.op == "add" else (np.negative(second[1]), np.negative(second[0]))
        return np.add(first[0], low), np.add(first[1], high)
    return None


def _term(nodes: Sequence[Node], value: object) -> tuple[Value, Value] | None:
    if isinstance(value, NodeRef):
        return _bounds(nodes, value.index)
    number = value_of(value)
    return None if number is None else (number, number)


def _vary_apart(nodes: Sequence[Node], node: Node) -> bool:
    """Does every value of one operand meet every value of the other, as in `t[:, None] - t[None]`?"""
    shapes = [reversed(nodes[i].spec.shape) for i in node.inputs]
    return all(any(type(size) is int and size == 1 for size in sizes) for sizes in zip(*shapes, strict=False))


def _of_range(node: Node) -> tuple[Value, Value] | None:
    given = [value_of(node.arguments[name]) for name in ("arg0", "arg1", "arg2") if name in node.arguments]
    start = value_of(node.arguments.get("start", given[0] if len(given) > 1 else 0))
    end = value_of(node.arguments.get("end", given[min(1, len(given) - 1)] if given else None))
    step = value_of(node.arguments.get("step", given[2] if len(given) > 2 else 1))
    if start is None or end is None or not isinstance(step, int) or step < 1:
        return None
    return start, np.add(start, np.multiply(step, np.floor_divide(np.subtract(np.subtract(end, start), 1), step)))
