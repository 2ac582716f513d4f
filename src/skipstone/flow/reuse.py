"""How much of each earlier map the layers behind a concatenation use (Huang et al. 2016, 1608.06993, section 5).

Their figure 5 shows the mean absolute weight of each connection of a trained network: a layer that reads the joined map
has one slice of weights for each operand. The gradient is shared out likewise, by its square in each slice.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import has_role, words
from skipstone.runs.flow import Reuse

# What keeps channels apart, between a join and the layer that reads it.
_CHANNELWISE = words("batch_norm instance_norm relu relu6 leaky_relu gelu silu elu hardswish dropout dropout2d clone")
_CHANNELWISE |= words("contiguous max_pool2d avg_pool2d adaptive_avg_pool2d")


def reuse_of(graph: Graph, merge: int, parameters: Mapping[str, Tensor], gradient: Tensor | None) -> tuple[Reuse, ...]:
    """The operands' shares in the weights of the first layer that reads the joined map, and in the gradient there.

    Both are per channel, and add up to 1 over the operands. Joins along axis 1, the channels; none of others.
    """
    node = graph[merge]
    dim = node.argument("dim", node.argument("axis", 0))
    rank = len(node.shape)
    if node.op != "cat" or not isinstance(dim, int) or rank < 2 or dim % rank != 1:
        return ()
    operands = list(_operands(graph, merge))
    sizes = [graph[i].shape[1] for i in operands]
    reader = _reader(graph, merge)
    weight = parameters.get(graph[reader.inputs[1]].name) if reader is not None else None
    weights = None if weight is None or weight.shape[1] != sum(sizes) else weight_shares(weight, sizes)
    grads = None if gradient is None or gradient.ndim != rank else gradient_shares(gradient, sizes)
    return tuple(
        Reuse(_maker(graph, i), size, None if weights is None else weights[k], None if grads is None else grads[k])
        for k, (i, size) in enumerate(zip(operands, sizes, strict=True))
    )


def weight_shares(weight: Tensor, sizes: list[int]) -> list[float] | None:
    """Mean |w| of each slice of a (C_out, C_in, ...) weight, C_in = sum(sizes), over the sum of these means."""
    return _shares([part.abs().double().mean() for part in torch.split(weight.detach(), sizes, 1)])


def gradient_shares(gradient: Tensor, sizes: list[int]) -> list[float] | None:
    """Mean g² of each slice of a (N, C, ...) gradient, C = sum(sizes), over the sum of these means."""
    return _shares([part.double().square().mean() for part in torch.split(gradient.detach(), sizes, 1)])


def _operands(graph: Graph, index: int) -> Iterator[int]:
    """What is joined, in order; of an operand that is such a join itself, its own operands."""
    node = graph[index]
    for i in node.inputs:
        inner = graph[i]
        alike = inner.op == "cat" and len(inner.shape) == len(node.shape)
        if alike and inner.argument("dim", inner.argument("axis", 0)) in (1, 1 - len(node.shape)):
            yield from _operands(graph, i)
        else:
            yield i


def _shares(parts: list[Tensor]) -> list[float] | None:
    numbers = [float(part) for part in parts]
    whole = sum(numbers)
    return [number / whole for number in numbers] if whole else None


def _reader(graph: Graph, index: int) -> Node | None:
    """The first layer with a weight that reads a map, behind what keeps its channels apart."""
    pending, seen = list(graph.users[index]), set()
    while pending:
        node = graph[pending.pop(0)]
        if node.index in seen:
            continue
        seen.add(node.index)
        if has_role(node, "conv") and len(node.inputs) > 1 and graph[node.inputs[1]].kind == "parameter":
            return node
        if node.op in _CHANNELWISE:
            pending.extend(graph.users[node.index])
    return None


def _maker(graph: Graph, index: int) -> str:
    node = graph[index]
    return node.module or node.name or node.op
