"""Batch attention: attention or recurrence runs over the batch instead of the tokens.

What it finds:
    `MultiheadAttention`, `scaled_dot_product_attention` or a recurrent layer whose sequence axis is the batch, and an
    attention softmax taken along the batch. The batch axis is proven by other layers: a convolution before, a position
    table, one output row a sample.
Why it matters:
    Shapes fit and the residual add fits, but each sample's output depends on the other samples of its batch, and the
    tokens of one sample never meet.
Example:
    `nn.MultiheadAttention(16, 2)` without `batch_first=True` on (batch, tokens, 16).
Repair:
    `batch_first=True`, or a transpose before and behind.
Effect of the repair:
    No parameters; another function: trained weights saw the other one.
References:
    PyTorch documentation, MultiheadAttention, "batch_first".
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skipstone.checks.around import merge_around, met, owner, readers
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import SetAttributes
from skipstone.core.graph import Node
from skipstone.graphs.operations import names
from skipstone.graphs.roles import PRODUCT
from skipstone.graphs.sample_axis import Key, axis_of, sample_axes

RULE = Rule("SK215", "batch-attention", "warning", "attention or recurrence runs over the batch")
_RECURRENT = names("recurrent")
_SUSPECTS = _RECURRENT | {"multi_head_attention_forward", "scaled_dot_product_attention", "softmax"}


@dataclass(frozen=True, kw_only=True)
class Crossed(Fault):
    """`layer`: the path of the module that mixes the samples."""

    layer: str


def check(subject: Subject) -> Iterator[Crossed]:
    graph = subject.graph
    suspects = [node for node in graph if node.op in _SUSPECTS and not node.output and not node.tainted]
    if not suspects:
        return
    samples = sample_axes(subject)
    for node in suspects:
        along, across = _axes(subject, node)
        if along is not None and along in samples and across not in samples:
            yield _fault(subject, node)


def repairs(subject: Subject, fault: Crossed) -> Iterator[Proposal]:
    edit = SetAttributes(fault.layer, {"batch_first": True})
    yield Proposal(f"{fault.layer}: batch_first=True", (edit,), "tokens attend to those of their own image")


def _axes(subject: Subject, node: Node) -> tuple[Key | None, Key | None]:
    """The input axes that an operation mixes along, and that it takes for samples."""
    graph = subject.graph
    source = node.inputs[0]
    rank = len(graph[source].shape)
    if node.op == "multi_head_attention_forward" and rank == 3:
        return axis_of(subject, source, 0), axis_of(subject, source, 1)
    if node.op in _RECURRENT and rank == 3:
        flags = [value for value in node.arguments.values() if isinstance(value, bool)]
        time = int(bool(flags and flags[-1]))
        return axis_of(subject, source, time), axis_of(subject, source, 1 - time)
    if node.op == "scaled_dot_product_attention" and rank >= 3:
        return axis_of(subject, source, -2), axis_of(subject, source, 0)
    if node.op == "softmax" and rank >= 3 and any(user.op in PRODUCT for user in readers(graph, node.index)):
        dim = node.argument("dim", -1)
        return (axis_of(subject, source, dim) if isinstance(dim, int) else None), None
    return None, None


def _fault(subject: Subject, node: Node) -> Crossed:
    graph = subject.graph
    source = graph[node.inputs[0]]
    name = node.module or node.op
    message = f"{name} runs over the batch: its sequence axis is the batch of {source.spec}"
    skip = merge_around(subject, node.index)
    if skip is not None and node.index in skip.main:
        merge = graph[skip.merge_node]
        return Crossed(at(merge, place=node.place), message, met(graph, merge), layer=node.module)
    return Crossed(at(node, module=owner(graph, node)), message, (source.shape,), layer=node.module)
