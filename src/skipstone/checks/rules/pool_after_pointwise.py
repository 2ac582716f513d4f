"""Pool after pointwise: an average pool behind a 1x1 convolution, where before it would be equal and cheaper.

What it finds:
    A 1x1 convolution at stride 1 whose result goes into an average pool and nowhere else. Max pools, norms and
    activations between, and a padding that the mean counts under a bias, are left alone: there the order matters.
Why it matters:
    A 1x1 convolution and a mean over places are both linear and act on different axes: they commute exactly, and
    pooling first divides the convolution's multiply-adds by the pool's factor.
Example:
    `AvgPool2d(4)(Conv2d(16, 64, 1)(x))` of a 16x16 map: 262,144 multiply-adds instead of 16,384.
Repair:
    The pool first.
Effect of the repair:
    The same function, up to rounding; the weights stay.
References:
    He et al. 2018, Bag of Tricks, 1812.01187, section 4.2 (ResNet-D pools before the 1x1 shortcut convolution).
"""

from collections.abc import Iterator
from math import prod

from skipstone.checks.around import owner, readers
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import names
from skipstone.graphs.roles import CONV

RULE = Rule("SK303", "pool-after-pointwise", "note", "an average pool behind a 1x1 convolution, cheaper before it")
_AVERAGES = names("average pool")
_NOTHING: frozenset[str] = frozenset()


def check(subject: Subject) -> Iterator[Fault]:
    """One note for the whole network, at the place that costs most."""
    found = sorted(_found(subject), key=lambda row: row[0], reverse=True)
    if not found:
        return
    graph = subject.graph
    _, layer, pool = found[0]
    before, after = (_macs(graph, layer, node) for node in (layer, pool))
    more = f", and so do {len(found) - 1} more" if len(found) > 1 else ""
    message = (
        f"{layer.module or layer.op} pooled afterwards costs {before:,} multiply-adds, pooled before {after:,} "
        f"for the same result{more}"
    )
    shapes = (graph[layer.inputs[0]].shape, layer.shape, pool.shape)
    yield Fault(at(pool, module=owner(graph, pool)), message, shapes)


def _found(subject: Subject) -> Iterator[tuple[int, Node, Node]]:
    """(saved multiply-adds, convolution, pool)."""
    graph = subject.graph
    for pool in graph:
        if pool.op not in _AVERAGES or pool.tainted or pool.failure is not None:
            continue
        layer = graph[pool.inputs[0]]
        if not _is_pointwise(graph, layer) or len(list(readers(graph, layer.index, _NOTHING))) != 1:
            continue
        saved = _macs(graph, layer, layer) - _macs(graph, layer, pool)
        if saved > 0 and _commutes(pool, biased=len(layer.inputs) > 2):
            yield saved, layer, pool


def _macs(graph: Graph, layer: Node, at: Node) -> int:
    """The multiply-adds of a pointwise convolution on the places of `at`."""
    return layer.shape[0] * layer.shape[1] * prod(graph[layer.inputs[1]].shape[1:]) * prod(at.shape[2:])


def _is_pointwise(graph: Graph, node: Node) -> bool:
    if node.op not in CONV or "transpose" in node.op or node.failure is not None:
        return False
    kernel = graph[node.inputs[1]].shape[2:]
    same = len(node.shape) == len(graph[node.inputs[0]].shape) == len(kernel) + 2
    return same and set(kernel) == {1} and node.shape[2:] == graph[node.inputs[0]].shape[2:]


def _commutes(pool: Node, *, biased: bool) -> bool:
    """Do the weights of every mean add up to one, or is there no bias that would notice?"""
    if pool.argument("divisor_override") is not None:
        return not biased
    padding = pool.argument("padding", 0)
    padded = any(padding) if isinstance(padding, tuple | list) else padding != 0
    counted = pool.argument("count_include_pad", True) is True
    return not (biased and padded and counted)
