"""Dropout on the stream: a dropout falls on the residual sum, so that the shortcut itself is dropped.

What it finds:
    A dropout of at least 0.05, in training, that alone reads the sum of a residual, in the same forward, in two or more
    blocks whose sums stand on one stream of tokens. Left alone: one dropout before a head, dropout on
    embeddings, networks of graphs (a node's features are dropped on purpose).
Why it matters:
    Of the identity path a share of p is lost in every block: after L blocks (1 - p)^L of its values are left.
Example:
    `x = self.dropout(x + self.ff(x))`.
Repair:
    `x + self.dropout(self.ff(x))`.
Effect of the repair:
    No parameters; evaluation stays as it is.
References:
    Vaswani et al. 2017, Attention Is All You Need, 1706.03762, section 5.4 (dropout on each sub-layer's output, before
    it is added); He et al. 2016, 1603.05027, section 3.2 (dropout on the shortcut fails to converge).
"""

from collections.abc import Iterator

from skipstone.checks.around import met, owner_call, same_values
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node
from skipstone.graphs.operations import names

RULE = Rule("SK221", "dropout-on-stream", "warning", "a dropout falls on the residual sum, its shortcut included")
_LEAST = 0.05
# What picks rows by an index: a graph's edges. benchmarking-gnns and GCNII drop node features after every sum.
_OF_GRAPHS = names("select") - {"embedding"} | {"scatter_add", "index_add", "scatter_reduce", "spmm", "sparse_mm"}


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    if any(node.op in _OF_GRAPHS for node in graph):
        return
    found = [(drop, merge) for drop in graph if (merge := _dropped_sum(subject, drop)) is not None]
    streams = [(drop, merge) for drop, merge in found if _goes_on(subject, drop, merge, found)]
    for drop, merge in streams:
        p = drop.argument("p", 0.5)
        message = f"dropout of {p} falls on the sum, its shortcut included: over {len(found)} blocks the identity fades"
        where = at(graph[merge], place=drop.place)
        yield Fault(where, message, met(graph, graph[merge]), cause=RULE.code)  # one habit, be it at several lines


def _dropped_sum(subject: Subject, drop: Node) -> int | None:
    """The residual sum of the same forward that a dropout alone reads."""
    graph = subject.graph
    p = drop.argument("p", 0.5)
    if not drop.op.startswith("dropout") or drop.argument("training", True) is not True or drop.tainted:
        return None
    if not isinstance(p, int | float) or p < _LEAST or len(drop.shape) != 3:
        return None
    source = same_values(graph, drop.inputs[0])
    if subject.layout.feature_axis(source) != 2:
        return None  # maps of convolutions: speechbrain's speech networks drop behind the sum on purpose
    merges = {skip.merge_node for skip in subject.skips if skip.is_block_skip and skip.merge == "add"}
    alone = [i for i in graph.users[source] if graph[i].op.startswith("dropout")] == list(graph.users[source])
    inside = owner_call(graph, drop) == owner_call(graph, graph[source])
    return source if source in merges and alone and inside else None


def _goes_on(subject: Subject, drop: Node, merge: int, found: list[tuple[Node, int]]) -> bool:
    """Does another dropped sum stand on the same stream, behind this one or before?"""
    leads = subject.ancestry.leads_to
    return any(other != merge and (leads(drop.index, other) or leads(later.index, merge)) for later, other in found)
