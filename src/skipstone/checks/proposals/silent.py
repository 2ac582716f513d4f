"""Repairs of what runs and is wrong: memory of its own, the right axis, axes that meet as they were meant."""

from collections.abc import Iterator

from skipstone.checks.proposals.inplace import out_of_place
from skipstone.checks.proposals.merge import reconciled
from skipstone.checks.proposals.proposal import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import DropOperand, MapOperand, SetArgument, SetAttributes, Transform
from skipstone.core.finding import Finding
from skipstone.core.graph import Node
from skipstone.surgery import site_of

_REDUCTIONS = ("sum", "mean", "amax", "amin", "prod", "std", "var", "logsumexp", "max", "min")


def identity_overwritten(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    writer = finding.data.get("writer")
    if isinstance(writer, int):
        yield out_of_place(subject, subject.graph[writer])


def shortcut_twice(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    node = subject.graph[finding.node]
    shortcut = finding.data.get("shortcut")
    if isinstance(shortcut, int) and shortcut in node.inputs:
        edit = DropOperand(site_of(subject.graph, node.index), node.inputs.index(shortcut))
        yield Proposal("add the shortcut once", (edit,), "the second addition goes")


def wrong_cat_axis(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    axis = finding.data.get("axis")
    if isinstance(axis, int):
        edit = SetArgument(site_of(subject.graph, finding.node), "dim", axis)
        yield Proposal(f"concatenate along axis {axis}", (edit,), "the features stand side by side")


def batch_attention(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    path = finding.data.get("layer")
    if isinstance(path, str):
        edit = SetAttributes(path, {"batch_first": True})
        yield Proposal(f"{path}: batch_first=True", (edit,), "tokens attend to those of their own image")


def squeeze_eats_batch(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    node, before = finding.data.get("squeeze"), finding.data.get("before")
    if isinstance(node, int) and isinstance(before, tuple):
        dims = tuple(axis for axis, size in enumerate(before) if size == 1 and axis > 0)
        edit = SetArgument(site_of(subject.graph, node), "dim", dims)
        yield Proposal(f"squeeze axes {dims} alone", (edit,), "a batch of one keeps its axis", keeps_output=True)


def accidental_broadcast(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    """The reduction keeps its axis, or the flatter operand gets one; for equal ranks the shortcut is reconciled."""
    graph = subject.graph
    node = graph[finding.node]
    if len(node.inputs) != 2:
        return
    ranks = [len(graph[i].shape) for i in node.inputs]
    if ranks[0] == ranks[1]:
        small = min((0, 1), key=lambda k: sum(graph[node.inputs[k]].shape))
        yield from reconciled(subject, node, 1 - small, small)
        return
    flat = ranks.index(min(ranks))
    source = _reduction(subject, graph[node.inputs[flat]])
    if source is not None:
        edit = SetArgument(site_of(graph, source.index), "keepdim", True)
        yield Proposal(f"{source.op}(..., keepdim=True)", (edit,), "the reduced axis stays, of size 1")
    if ranks[flat] + 1 == ranks[1 - flat]:
        change = Transform("unsqueeze", arguments={"dims": (1,)})
        edit_axis = MapOperand(site_of(graph, node.index), flat, change)
        yield Proposal(
            "give the flatter operand its channel axis back", (edit_axis,), "an axis of size 1 behind the batch"
        )


def _reduction(subject: Subject, node: Node) -> Node | None:
    """The reduction that took the axis away, right behind the operand or a few steps before it."""
    for _ in range(4):
        if node.op in _REDUCTIONS and node.argument("dim") is not None and not node.argument("keepdim"):
            return node
        before = [subject.graph[i] for i in node.inputs if subject.ancestry.active[i]]
        if len(before) != 1:
            return None
        node = before[0]
    return None
