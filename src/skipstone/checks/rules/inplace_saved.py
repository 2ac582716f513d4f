"""In-place on a saved tensor: an in-place operation overwrites what the backward pass needs.

What it finds:
    A tensor that autograd saved for the backward pass and that is written over before it. Each saved tensor is asked,
    so `+=` behind a batch norm (which saves its input) is safe and behind a ReLU (which saves its output) is not.
Why it matters:
    The forward pass runs; the backward pass raises "modified by an inplace operation".
Example:
    `out = self.relu(self.bn(x)); out += identity`.
Repair:
    The addition out of place (`out = out + identity`), or `inplace=False` on the activation that writes.
Effect of the repair:
    One more activation in memory; values unchanged.
References:
    PyTorch documentation, Autograd mechanics, "In-place correctness checks".
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skipstone.checks.mending.writes import out_of_place
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.graphs.merges import merge_of

RULE = Rule("SK109", "inplace-saved", "error", "an in-place operation overwrites what the backward pass needs")


@dataclass(frozen=True, kw_only=True)
class Overwrites(Fault):
    """`writer`: the operation that writes over what was saved."""

    writer: int


def check(subject: Subject) -> Iterator[Overwrites]:
    graph = subject.graph
    said: set[int] = set()
    for refusal in graph.refusals:
        if refusal.writer in said:
            continue
        said.add(refusal.writer)
        saver, writer = graph[refusal.saver], graph[refusal.writer]
        message = f"{_name(graph, writer)} overwrites in place what {_name(graph, saver)} saved for the backward pass"
        struck = _merge(subject, saver, writer)
        shapes = tuple(graph[i].shape for i in struck.inputs if graph[i].kind in ("op", "input"))
        yield Overwrites(at(struck), message, shapes, writer=writer.index)


def repairs(subject: Subject, fault: Overwrites) -> Iterator[Proposal]:
    yield out_of_place(subject, fault.writer)


def _name(graph: Graph, node: Node) -> str:
    return f"{node.op}{f' in {node.module}' if node.module else ''}{f' ({node.place})' if node.place else ''}"


def _merge(subject: Subject, saver: Node, writer: Node) -> Node:
    """Where the fault lies: the writer if it is a merge itself, else the merge of the skip that it damages."""
    if merge_of(subject.graph, writer) is not None and len(writer.inputs) > 1:
        return writer
    for skip in subject.skips:
        branches = {*skip.main, *skip.shortcut, skip.source_node}
        if {saver.index, writer.index} <= branches:
            return subject.graph[skip.merge_node]
    return writer
