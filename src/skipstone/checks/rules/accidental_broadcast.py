"""Accidental broadcast: two tensors meet by a broadcast that nobody meant.

What it finds:
    An addition, subtraction or product of two tensors made from the input where an axis of size 1 is stretched, or
    where operands of different rank line up on the wrong axes (a batch axis against channels). The first axes of inputs
    of as many rows are one batch axis. Judged by where each axis comes from: gates, masks, parameters, pooled maps,
    kept and inserted axes are meant, and so are the terms of distances of all pairs.
Why it matters:
    It runs: one raw channel is added to every channel, or every image is compared with every other one.
Example:
    `net(x) - x.mean(1)` of (B, 1, H, W) and (B, H, W) gives (B, B, H, W).
Repair:
    `keepdim=True` on the reduction, a 1x1 projection of the narrow branch, or an `expand` that says what is meant.
Effect of the repair:
    Each value meets its own; a projection adds its weights.
References:
    PyTorch documentation, broadcasting semantics.
"""

from collections.abc import Iterator

from skipstone.checks.around import met
from skipstone.checks.ledger import branches
from skipstone.checks.mending.merges import reconciled
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, SetArgument, Transform
from skipstone.core.graph import Node, shape_text
from skipstone.graphs.broadcast import accidental_broadcasts, value_inputs
from skipstone.graphs.operations import names
from skipstone.graphs.sample_axis import attention_samples, sample_axes
from skipstone.surgery import site_of

RULE = Rule("SK201", "accidental-broadcast", "warning", "two tensors meet by a broadcast that nobody meant")

_REDUCTIONS = names("reduction")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    said: list[int] = []
    for index in accidental_broadcasts(graph):
        if _of_other_axes(subject, graph[index]):
            continue
        if any(subject.ancestry.leads_to(earlier, index) for earlier in said):
            continue  # what follows from a broadcast broadcasts too
        said.append(index)
        node = graph[index]
        shapes = met(graph, node)
        told = " and ".join(map(shape_text, shapes))
        message = f"{node.op} of {told} runs by broadcasting: the result is {shape_text(node.shape)}"
        yield Fault(at(node), message, shapes, branches=branches(graph, subject.ancestry, node))


def _of_other_axes(subject: Subject, node: Node) -> bool:
    """Do operands of two inputs meet whose first axes have one size by chance: time comes first in one of them?"""
    values = value_inputs(subject.graph)
    inputs = [values[i] for i in node.inputs]
    second = {(index, 1) for index in subject.graph.inputs}
    return not frozenset.intersection(*inputs) and bool(second & (sample_axes(subject) | attention_samples(subject)))


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """The reduction keeps its axis, or the flatter operand gets one; for equal ranks the shortcut is reconciled."""
    graph = subject.graph
    node = graph[fault.where.node]
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
