"""A pass of its own at every size: slow, and independent of sizes that stand for many.

The merges of one size are judged with the records of the others beside them: an axis that is 1 here and something else
at another size is 1 by chance.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from skipstone.core.graph import Graph
from skipstone.graphs.axes import axes_of
from skipstone.graphs.broadcast import is_accidental, is_pooled_gate, merge_operands, value_inputs
from skipstone.sizes.allowance import Allowance
from skipstone.sizes.passes import single_pass
from skipstone.sizes.request import Request
from skipstone.tracing.deadline import OutOfTime

# What is remembered of a node of any record: its number, its operation, how many axes it has, which one is meant.
_Key = tuple[int, str, int, int]


@dataclass(frozen=True)
class Verdict:
    """One size: why torch refused it, if it did; does it rest on an accidental broadcast? With the pass."""

    reason: str | None
    broadcast: bool
    graph: Graph


def each_size(
    model: nn.Module,
    request: Request,
    points: Sequence[Mapping[str, int]],
    others: Sequence[Mapping[str, int]],
    allowance: Allowance,
) -> list[Verdict]:
    """The verdict on each of `points`, as many as the allowance reaches; `others` are only compared with."""
    if not points:
        return []
    graphs: list[tuple[Graph, str | None]] = []
    sizes_seen: dict[_Key, set[int]] = defaultdict(set)
    for number, point in enumerate([*others, *points]):
        if number > len(others) and allowance.over:
            break
        try:
            graph, reason = single_pass(model, request, point, allowance)
        except OutOfTime:
            break
        graphs.append((graph, reason))
        for node in graph:
            for axis, size in enumerate(node.shape):
                sizes_seen[(node.index, node.op, len(node.shape), axis)].add(size)
    return [
        Verdict(reason, reason is None and _rests_on_broadcast(graph, sizes_seen), graph)
        for graph, reason in graphs[len(others) :]
    ]


def _rests_on_broadcast(graph: Graph, sizes_seen: Mapping[_Key, set[int]]) -> bool:
    axes, values = axes_of(graph), value_inputs(graph)
    for node in graph:
        operands = merge_operands(graph, node)
        if operands is None:
            continue
        if is_accidental(graph, node, axes, values):
            return True
        for small, large in (operands, operands[::-1]):
            if not is_pooled_gate(graph, node, small, axes) and _by_chance(graph, small, large, sizes_seen):
                return True
    return False


def _by_chance(graph: Graph, small: int, large: int, sizes_seen: Mapping[_Key, set[int]]) -> bool:
    shape, other = graph[small].shape, graph[large].shape
    for back in range(1, min(len(shape), len(other)) + 1):
        if shape[-back] == 1 != other[-back]:
            key = (small, graph[small].op, len(shape), len(shape) - back)
            if sizes_seen[key] != {1}:
                return True
    return False
