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

from skipstone.checks.failures import finding
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import Graph, Node
from skipstone.graphs.roles import merge_of

RULE = Rule("SK109", "inplace-saved", "error", "an in-place operation overwrites what the backward pass needs")


def check(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    said: set[int] = set()
    for refusal in graph.refusals:
        if refusal.writer in said:
            continue
        said.add(refusal.writer)
        saver, writer = graph[refusal.saver], graph[refusal.writer]
        message = f"{_name(graph, writer)} overwrites in place what {_name(graph, saver)} saved for the backward pass"
        at = _merge(subject, saver, writer)
        yield finding(
            at,
            message,
            operands=tuple(graph[i].shape for i in at.inputs if graph[i].kind == "op" or graph[i].kind == "input"),
            data={"saver": saver.index, "writer": writer.index},
        )


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
