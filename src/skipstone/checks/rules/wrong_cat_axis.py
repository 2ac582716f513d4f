"""Wrong cat axis: maps of the same places are concatenated along a place axis, or along the batch.

What it finds:
    A concatenation of a tensor and what convolutions made of it (or of two such branches) along height, width or
    length instead of the features' axis, which the convolutions prove; and a skip connection concatenated along the
    batch axis. Tokens put in a row, parts cut from one map and put together again, and joined batches that are taken
    apart later are left alone.
Why it matters:
    The features do not grow; two copies of the same places stand under each other, and a global mean hides it.
Example:
    `cat([a, b], dim=1)` of channels-last maps; `cat([x, y])`, whose default axis is the batch.
Repair:
    The features' axis.
Effect of the repair:
    The next layer must be as wide as both operands together.
References:
    Iandola et al. 2016, SqueezeNet, 1602.07360, section 3.2; Huang et al. 2016, DenseNet, 1608.06993, section 3.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skipstone.checks.around import met
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import SetArgument
from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import names
from skipstone.graphs.roles import CONV
from skipstone.graphs.sample_axis import axis_of, sample_axes
from skipstone.surgery import site_of

RULE = Rule("SK213", "wrong-cat-axis", "warning", "maps of the same places are concatenated along places or the batch")
_APART = names("slice", "apart")


@dataclass(frozen=True, kw_only=True)
class Misjoined(Fault):
    """`features`: the axis along which it was meant."""

    features: int


def check(subject: Subject) -> Iterator[Misjoined]:
    graph = subject.graph
    for node in graph:
        if node.op != "cat" or len(set(node.inputs)) < 2 or node.tainted or node.failure is not None:
            continue
        dim = node.argument("dim", 0)
        if not isinstance(dim, int) or not all(subject.ancestry.active[i] for i in node.inputs):
            continue
        axis = dim % len(node.shape)
        features = {subject.layout.feature_axis(i) for i in node.inputs}
        feature = features.pop() if len(features) == 1 else None
        if feature is None or feature == axis or not _same_places(subject, node, axis):
            continue
        if _taken_apart(graph, node.index) or not _is_fault(subject, node, axis):
            continue
        what = "the batch" if axis == 0 else f"axis {axis}, places"
        message = f"concatenated along {what}: the features are on axis {feature}"
        yield Misjoined(at(node), message, met(graph, node), features=feature)


def repairs(subject: Subject, fault: Misjoined) -> Iterator[Proposal]:
    edit = SetArgument(site_of(subject.graph, fault.where.node), "dim", fault.features)
    yield Proposal(f"concatenate along axis {fault.features}", (edit,), "the features stand side by side")


def _is_fault(subject: Subject, node: Node, axis: int) -> bool:
    graph = subject.graph
    if axis == 0:
        leads = subject.ancestry.leads_to
        skip = any(leads(i, k) for i in node.inputs for k in node.inputs if i != k)
        rows = {graph[i].shape[0] for i in graph.outputs if graph[i].shape}
        return skip and axis_of(subject, node.inputs[0], 0) in sample_axes(subject) and rows == {node.shape[0]}
    source = node.inputs[0]
    for operand in node.inputs[1:]:
        source = subject.ancestry.common(source, operand)
    branches = [_between(subject, source, i) for i in dict.fromkeys(node.inputs)]
    cut = any(graph[i].op in _APART for branch in branches for i in branch)
    convolved = [_by_convolution(graph, branch) for branch in branches if branch]
    return source >= 0 and not cut and bool(convolved) and all(convolved)


def _same_places(subject: Subject, node: Node, axis: int) -> bool:
    """Do all operands carry one and the same axis of the input there, at one size?"""
    keys = {axis_of(subject, i, axis) for i in node.inputs}
    sizes = {subject.graph[i].shape[axis] for i in node.inputs}
    key = next(iter(keys))
    return len(keys) == len(sizes) == 1 and key is not None and key[0] != "merged"


def _between(subject: Subject, source: int, operand: int) -> list[int]:
    """The nodes after `source` that lead to an operand."""
    ancestry = subject.ancestry
    return [i for i in range(source + 1, operand + 1) if ancestry.leads_to(i, operand) and ancestry.active[i]]


def _by_convolution(graph: Graph, branch: list[int]) -> bool:
    layers = [graph[i].op for i in branch if graph[i].op in CONV or graph[i].op in ("linear", "matmul")]
    return bool(layers) and all(op in CONV for op in layers)


def _taken_apart(graph: Graph, index: int) -> bool:
    """Is the joined axis cut again, or does a view rearrange it?

    Two views of an image go through one encoder as one batch, and are parted behind it (SimCLR, 2002.05709). Behind a
    view nobody can say what became of the axis.
    """
    pending, seen = [index], {index}
    while pending:
        for user in graph.users[pending.pop()]:
            node = graph[user]
            rearranged = node.op in ("view", "reshape") and len(node.shape) >= len(graph[node.inputs[0]].shape)
            if node.op in _APART or rearranged:
                return True
            if user not in seen:
                seen.add(user)
                pending.append(user)
    return False
