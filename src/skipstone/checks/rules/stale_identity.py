"""Stale identity: the second residual of a block adds the input of the first one instead of its output.

What it finds:
    Two residual sums in one forward that take the same tensor for their shortcut, where the first sum goes nowhere but
    into the branch of the second, a norm (or, between two branches of several layers, an activation) standing between.
    Left alone: inner residuals of another module (residual in residual), more than two sums (an input fed in at every
    step), branches that share weights (recurrent blocks, solvers), scaled sums.
Why it matters:
    The first sub-block acts through the second one's branch alone: its own way to the output is gone, and with it the
    gradient's.
Example:
    `h = self.n1(x + self.attn(x)); return self.n2(x + self.ff(h))`.
Repair:
    Add `h`, the output of the first residual.
Effect of the repair:
    No parameters; the network computes another function.
References:
    Vaswani et al. 2017, Attention Is All You Need, 1706.03762, section 3.1 (LayerNorm(x + Sublayer(x)) around each).
"""

from collections.abc import Iterator

from skipstone.checks.around import met, owner_call, readers, same_values
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip
from skipstone.graphs.roles import NORM, RECTIFIER, TRANSPARENT

RULE = Rule("SK205", "stale-identity", "warning", "the second residual adds the input of the first one, not its output")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    by_shortcut: dict[tuple[int, int], list[Skip]] = {}
    for skip in subject.skips:
        merge = graph[skip.merge_node]
        if skip.kind == "identity" and skip.merge == "add" and merge.op == "add" and not merge.tainted:
            # Per forward: EDSR's outer residual (1707.02921) starts where its first block's does, in another module.
            key = (same_values(graph, skip.short_operand), owner_call(graph, merge))
            by_shortcut.setdefault(key, []).append(skip)
    for skips in by_shortcut.values():
        # More than two: an initial residual fed in at every step (GCNII, 2007.02133).
        if len(skips) == 2 and _is_stale(subject, *skips):
            first, second = (graph[skip.merge_node] for skip in skips)
            message = (
                "the second residual adds the input of the first one instead of its output"
                f"{f' ({first.place})' if first.place else ''}"
            )
            yield Fault(at(second), message, met(graph, second))


def _is_stale(subject: Subject, first: Skip, second: Skip) -> bool:
    graph, ancestry = subject.graph, subject.ancestry
    if not ancestry.leads_to(first.merge_node, second.main_operand) or _scaled(graph, first, second):
        return False
    branch = ancestry.ancestors[second.main_operand]
    stream = first.merge_node
    follower = _only_reader(graph, stream)
    if follower is None or not branch >> follower.index & 1:
        return False
    ours, theirs = _weights(graph, first.main), _weights(graph, _after(graph, second.main, stream))
    # Shared weights: the recurrent convolutions of R2U-Net (1802.06955) add their input at every step.
    if not ours or not theirs or ours & theirs:
        return False
    layers = [sum(ancestry.layers[i] for i in path) for path in (first.main, _after(graph, second.main, stream))]
    if follower.op in NORM:
        # Single layers of one make may be a chain of sums; a transformer's attention and feed-forward part differ.
        next_one = _only_reader(graph, follower.index, several=True)
        return next_one is not None and (_differ(subject, first, second, stream) or min(layers) > 1)
    alike = {reader.op for reader in readers(graph, second.merge_node)} == {follower.op}
    return follower.op in RECTIFIER and min(layers) > 1 and alike and _only_reader(graph, follower.index) is not None


def _only_reader(graph: Graph, index: int, *, several: bool = False) -> Node | None:
    """The one operation that reads a node, behind views; `several`: any, if all of them are layers' inputs."""
    if index in graph.outputs:
        return None
    found = list(readers(graph, index, TRANSPARENT))
    if several and found and not any(node.op in ("add", "cat", "sub") for node in found):
        return found[0]
    return found[0] if len(found) == 1 else None


def _after(graph: Graph, path: tuple[int, ...], start: int) -> tuple[int, ...]:
    return tuple(i for i in path if i > start)


def _weights(graph: Graph, path: tuple[int, ...]) -> set[int]:
    return {i for node in path for i in graph[node].inputs if graph[i].kind == "parameter"}


def _differ(subject: Subject, first: Skip, second: Skip, stream: int) -> bool:
    """Are the branches of different make, as attention and a feed-forward part are?"""
    graph = subject.graph
    ours = [graph[i].op for i in first.main if graph[i].op not in TRANSPARENT and graph[i].op not in NORM]
    theirs = [
        graph[i].op
        for i in _after(graph, second.main, stream)
        if graph[i].op not in TRANSPARENT and graph[i].op not in NORM
    ]
    return ours != theirs


def _scaled(graph: Graph, *skips: Skip) -> bool:
    """Is a sum weighted: a step of a solver (the midpoint rule), an initial residual (GCNII), a running average?"""
    for skip in skips:
        ends = [graph[skip.short_operand], graph[skip.main_operand], graph[skip.merge_node]]
        if any(node.op in ("mul", "div") or "alpha" in node.arguments for node in ends):
            return True
    return False
