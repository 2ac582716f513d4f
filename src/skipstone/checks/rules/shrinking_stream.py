"""Shrinking stream: the identity is multiplied by a constant well below one in every block.

What it finds:
    Three or more residual sums on one path between which the identity is multiplied by a number of at most 0.6: the
    whole sum, perhaps behind its activation, or the shortcut alone. Left alone: the square root of a half, which keeps
    the variance of two equal parts (score-based diffusion networks, StyleGAN), a sum that is normalised behind the
    factor, blocks of shared weights, and a mean of several paths.
Why it matters:
    The identity reaches the end scaled by the product of all factors: at 0.5 over ten blocks by a thousandth, and its
    gradient with it.
Example:
    `x = 0.5 * (x + self.body(x))` in each of ten blocks.
Repair:
    Scale the branch, not the sum.
Effect of the repair:
    No parameters; another function.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, equation 7 (a scaled stream decays with the
    product of its factors).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from skipstone.checks.around import met, readers
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip
from skipstone.graphs.roles import RECTIFIER, SAME_VALUES

RULE = Rule("SK222", "shrinking-stream", "warning", "the residual sum is scaled down after every block")
_MOST, _BLOCKS = 0.6, 3


@dataclass(frozen=True, slots=True)
class _Scaled:
    """A sum whose identity is scaled: by which factor, by which node, and where the stream before it comes from."""

    merge: int
    factor: float
    node: int
    before: int


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    skips = {skip.merge_node: skip for skip in subject.skips if skip.kind == "identity" and skip.merge == "add"}
    row = max((_row(graph, skips, merge) for merge in skips), key=len, default=[])
    if len(row) < _BLOCKS or _shared(graph, [skips[scaled.merge] for scaled in row]):
        return
    first = row[0]
    product = prod(scaled.factor for scaled in row)
    message = (
        f"the sum is multiplied by {first.factor:g} in {len(row)} blocks: the identity arrives at {product:.1g} times"
    )
    merge = graph[first.merge]
    yield Fault(at(merge, place=graph[first.node].place), message, met(graph, merge))


def _row(graph: Graph, skips: dict[int, Skip], last: int) -> list[_Scaled]:
    """The scaled sums one after the other on the stream that ends in `last`, in their order."""
    end = _behind(graph, last)
    row = [] if end is None else [end]
    merge = last
    while merge in skips:
        scaled = _scaled(graph, skips, skips[merge])
        if scaled is None:
            break
        row.append(scaled)
        merge = scaled.before
    return row[::-1]


def _behind(graph: Graph, merge: int) -> _Scaled | None:
    """A sum that ends the stream and that a factor alone reads."""
    index = merge
    while len(found := list(readers(graph, index, frozenset()))) == 1:
        reader = found[0]
        factor = _factor(reader)
        if factor is not None:
            return _Scaled(merge, factor, reader.index, merge)
        if reader.op not in RECTIFIER:
            break
        index = reader.index
    return None


def _scaled(graph: Graph, skips: dict[int, Skip], skip: Skip) -> _Scaled | None:
    """By what the identity of a skip is multiplied since the sum before it; None for nothing."""
    index, factors = skip.short_operand, []
    while index not in skips and graph[index].kind == "op" and graph[index].inputs:
        node = graph[index]
        factor = _factor(node)
        if factor is not None:
            factors.append((factor, index))
        elif node.op not in SAME_VALUES and node.op not in RECTIFIER:
            break
        index = node.inputs[0]
    if len(factors) != 1:
        return None
    factor, node_index = factors[0]
    # A factor in the forward that adds belongs to this sum, one behind the sum before to that one.
    behind = index in skips and graph[node_index].call == graph[index].call
    return _Scaled(index if behind else skip.merge_node, factor, node_index, index)


def _shared(graph: Graph, skips: list[Skip]) -> bool:
    """Have the blocks their weights in common: a damped fixed point (DEQ, 1909.01377)?"""
    weights = [{i for node in skip.main for i in graph[node].inputs if graph[i].kind == "parameter"} for skip in skips]
    return bool(weights) and bool(set.intersection(*weights))


def _factor(node: Node) -> float | None:
    """The number below `_MOST` by which a node multiplies its operand."""
    number = node.arguments.get("other")
    if node.op not in ("mul", "div") or len(node.inputs) != 1 or isinstance(number, bool):
        return None
    if not isinstance(number, int | float) or number == 0:
        return None
    factor = 1 / number if node.op == "div" else number
    return float(factor) if 0 < factor <= _MOST else None
