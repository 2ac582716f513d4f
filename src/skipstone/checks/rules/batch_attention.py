"""Batch attention: attention mixes along another axis than the keys: the batch, or the queries.

What it finds:
    `MultiheadAttention`, `scaled_dot_product_attention` or a recurrent layer whose sequence axis is the batch, and
    attention weights whose softmax runs along the batch, be they applied by a matrix product, `einsum` or a plain
    product. The batch axis is proven by other layers: a convolution before, a position table, one output row a sample.
    And self-attention whose softmax runs along the queries: the product with the values then sums the other axis.
Why it matters:
    Shapes fit and the residual add fits. Over the batch, each sample's output depends on the other samples and the
    tokens of one sample never meet; over the queries, the weights of one token sum to anything but one.
Example:
    `nn.MultiheadAttention(16, 2)` without `batch_first=True` on (batch, tokens, 16).
Repair:
    `batch_first=True`; the axis of the softmax that the product sums.
Effect of the repair:
    No parameters; another function: trained weights saw the other one.
References:
    PyTorch documentation, MultiheadAttention, "batch_first"; Vaswani et al. 2017, 1706.03762, equation 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from skipstone.checks.around import merge_around, met, owner, readers
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import SetArgument, SetAttributes
from skipstone.core.graph import Node
from skipstone.graphs.operations import has_role, names
from skipstone.graphs.sample_axis import Key, axis_of, sample_axes
from skipstone.graphs.weighing import scores_of_pairs, summed_axes
from skipstone.surgery import site_of

RULE = Rule("SK215", "batch-attention", "warning", "attention runs over the batch, or its softmax over the queries")
_RECURRENT = names("recurrent")
_SUSPECTS = _RECURRENT | {"multi_head_attention_forward", "scaled_dot_product_attention", "softmax"}


@dataclass(frozen=True, kw_only=True)
class Crossed(Fault):
    """`layer`: the module that mixes; `node`: its operation; `keys`: the axis where the softmax was due, if known."""

    layer: str
    node: int
    keys: int | None = None


def check(subject: Subject) -> Iterator[Crossed]:
    graph = subject.graph
    suspects = [node for node in graph if node.op in _SUSPECTS and not node.output and not node.tainted]
    if not suspects:
        return
    samples = sample_axes(subject)
    for node in suspects:
        along, across = _axes(subject, node)
        source = subject.graph[node.inputs[0]].spec
        if along is not None and along in samples and across not in samples:
            yield _fault(subject, node, f"runs over the batch: its sequence axis is the batch of {source}")
        elif node.op == "softmax" and (keys := _keys(subject, node)) is not None:
            told = f"softmax of {source} runs along the queries: the product behind it sums axis {keys}, the keys"
            yield _fault(subject, node, told, keys)


def repairs(subject: Subject, fault: Crossed) -> Iterator[Proposal]:
    if fault.keys is None:
        edit: SetArgument | SetAttributes = SetAttributes(fault.layer, {"batch_first": True})
        yield Proposal(f"{fault.layer}: batch_first=True", (edit,), "tokens attend to those of their own image")
        return
    if type(subject.module_at(fault.layer)) is nn.Softmax:
        edit = SetAttributes(fault.layer, {"dim": fault.keys})
    else:
        edit = SetArgument(site_of(subject.graph, fault.node), "dim", fault.keys)
    yield Proposal(f"softmax along axis {fault.keys}", (edit,), "the weights of each query sum to one")


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
    if node.op == "softmax" and rank >= 3 and any(_weighs(subject, user, node) for user in readers(graph, node.index)):
        dim = node.argument("dim", -1)
        return (axis_of(subject, source, dim) if isinstance(dim, int) else None), None
    return None, None


def _weighs(subject: Subject, user: Node, weights: Node) -> bool:
    """Does a product, matrix or plain, lay weights on values that the input made?"""
    if not has_role(user, "product") and user.op != "mul":
        return False
    return any(i != weights.index and subject.ancestry.active[i] for i in user.inputs)


def _keys(subject: Subject, node: Node) -> int | None:
    """The axis of the keys, where the softmax of self-attention scores runs along the other one.

    Every product that reads the weights sums the axis that the softmax left out. Silent where the weights are used
    otherwise as well: divided by their own sum (slot attention, 2006.15055; offset attention, 2012.09688), multiplied
    with the softmax of the other axis (LoFTR, 2104.00680), or where the axes differ (soft assignments: NetVLAD,
    1511.07247; DiffPool, 1806.08804).
    """
    graph = subject.graph
    pair = scores_of_pairs(graph, subject.axes, subject.ancestry.active, node.inputs[0])
    dim = node.argument("dim", -1)
    if pair is None or not isinstance(dim, int) or dim % len(node.shape) not in pair:
        return None
    along = dim % len(node.shape)
    other = pair[0] if along == pair[1] else pair[1]
    products = list(summed_axes(graph, node.index, other))
    alone = all(has_role(user, "product") for user in readers(graph, node.index))
    return other if products and alone and all(summed for _, summed in products) else None


def _fault(subject: Subject, node: Node, told: str, keys: int | None = None) -> Crossed:
    graph = subject.graph
    source = graph[node.inputs[0]]
    message = told if keys is not None else f"{node.module or node.op} {told}"
    skip = merge_around(subject, node.index)
    if skip is None or node.index not in skip.main:
        where = at(node, module=owner(graph, node))
        return Crossed(where, message, (source.shape,), layer=node.module, node=node.index, keys=keys)
    merge = graph[skip.merge_node]
    where = at(merge, place=node.place)
    return Crossed(where, message, met(graph, merge), layer=node.module, node=node.index, keys=keys)
