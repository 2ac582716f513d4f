"""Squeeze eats batch: a `squeeze()` takes the batch axis away when the batch holds one sample.

What it finds:
    A `squeeze()` without an axis, or of the first one, that drops the batch axis for a batch of one, where the network
    then fails, meets another tensor by broadcasting, or returns a result with one axis less. Proven by records with a
    batch of one and of several.
Why it matters:
    It runs in training and fails in deployment, or on the last batch of an epoch.
Example:
    `self.pool(x).squeeze()` of (1, 16, 1, 1) gives (16,).
Repair:
    `flatten(1)`, or `squeeze` with the axes that are meant.
Effect of the repair:
    The same values for every batch size, nothing else changes.
References:
    PyTorch documentation, torch.squeeze (the warning about a batch of one).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import SetArgument
from skipstone.core.finding import Shape
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.graphs.broadcast import accidental_broadcasts
from skipstone.graphs.sample_axis import axis_of
from skipstone.surgery import site_of

RULE = Rule(
    "SK112",
    "squeeze-eats-batch",
    "error",
    "a squeeze takes the batch axis away when the batch holds one sample",
)


@dataclass(frozen=True, kw_only=True)
class Eaten(Fault):
    """`before`: the shape that a batch of one has in front of the squeeze."""

    before: Shape


def check(subject: Subject) -> Iterator[Eaten]:
    graph = subject.graph
    suspects = [node for node in graph if node.op == "squeeze" and _may_drop_first(subject, node)]
    if not suspects:
        return
    batch = graph[graph.inputs[0]].shape[0]
    one = graph if batch == 1 else subject.with_batch(1)
    several = subject.with_batch(2) if batch == 1 else graph
    for node in suspects:
        if not _eats(one, several, node.index):
            continue
        consequence = _consequence(one, several)
        if consequence is not None:
            before, after = one[one[node.index].inputs[0]].shape, one[node.index].shape
            failed = next((n for n in one.failures if batch == 1 and n.index > node.index and n.failure), None)
            shapes = failed.failure.operands if failed is not None and failed.failure else (before, after)
            change = f"{shape_text(before)} to {shape_text(after)}"
            message = f"squeeze() takes the batch axis of a batch of one: {change}; {consequence}"
            yield Eaten(at(node), message, shapes, before=before)
            return


def repairs(subject: Subject, fault: Eaten) -> Iterator[Proposal]:
    dims = tuple(axis for axis, size in enumerate(fault.before) if size == 1 and axis > 0)
    edit = SetArgument(site_of(subject.graph, fault.where.node), "dim", dims)
    yield Proposal(f"squeeze axes {dims} alone", (edit,), "a batch of one keeps its axis", keeps_output=True)


def _may_drop_first(subject: Subject, node: Node) -> bool:
    """Is the first axis that of the input's batch, and does the call drop it where its size is 1?"""
    dim = node.arguments.get("dim")
    rank = len(subject.graph[node.inputs[0]].shape)
    dims = dim if isinstance(dim, tuple | list) else (dim,)
    drops = dim is None or any(isinstance(d, int) and rank and d % rank == 0 for d in dims)
    key = axis_of(subject, node.inputs[0], 0)
    return drops and key is not None and key == (subject.graph.inputs[0], 0)


def _eats(one: Graph, several: Graph, index: int) -> bool:
    if index >= min(len(one), len(several)):
        return False
    first, other = one[index], several[index]
    return first.op == other.op == "squeeze" and len(first.shape) < len(other.shape)


def _consequence(one: Graph, several: Graph) -> str | None:
    """What a batch of one does that larger ones do not."""
    if len(_failed(one)) > len(_failed(several)) or (one.stopped and not several.stopped):
        return "the network then fails"
    if len(accidental_broadcasts(one)) > len(accidental_broadcasts(several)):
        return "a later operation then broadcasts"
    ranks = [len(one[i].shape) for i in one.outputs], [len(several[i].shape) for i in several.outputs]
    return "the network then returns one axis less" if ranks[0] != ranks[1] else None


def _failed(graph: Graph) -> list[Node]:
    """What failed, but for batch norms that want more than one sample in training."""
    return [
        node for node in graph.failures if node.failure and "more than 1 value per channel" not in node.failure.message
    ]
