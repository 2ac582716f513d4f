"""How attention weights are used: of which axes their scores are made, and along which one a product sums them."""

from collections.abc import Iterator, Sequence

from skipstone.core.graph import Graph, Node
from skipstone.graphs.axes import Axes, einsum_letters, landing
from skipstone.graphs.operations import has_role
from skipstone.graphs.roles import is_transparent


def summed_axes(graph: Graph, index: int, axis: int) -> Iterator[tuple[Node, bool]]:
    """Each product that reads a tensor behind views and dropout, with: does it sum the tensor along that axis?"""
    pending, seen = [(index, axis)], {index}
    while pending:
        source, at = pending.pop()
        for user in (graph[i] for i in graph.users[source]):
            if has_role(user, "product"):
                summed = _summed(graph, user, source)
                if summed is not None:
                    yield user, at % len(graph[source].shape) == summed
            elif is_transparent(user) and user.index not in seen:
                seen.add(user.index)
                landed = landing(graph, user, source, at % len(graph[source].shape))
                if landed is not None and landed[1]:
                    pending.append((user.index, landed[0]))


def _summed(graph: Graph, product: Node, operand: int) -> int | None:
    """The one axis of an operand along which a product sums; None where it is not certain."""
    if len(product.inputs) != 2 or product.inputs[0] == product.inputs[1]:
        return None
    position = product.inputs.index(operand)
    rank = len(graph[operand].shape)
    if product.op == "einsum":
        terms, result = einsum_letters(product)
        if len(terms) != 2 or len(terms[position]) != rank:
            return None
        summed = [axis for axis, letter in enumerate(terms[position]) if letter not in result]
        return summed[0] if len(summed) == 1 else None
    if product.op not in ("matmul", "bmm", "mm") or rank < 2:
        return None
    return rank - 1 if position == 0 else rank - 2


def scores_of_pairs(graph: Graph, axes: Sequence[Axes], active: Sequence[bool], index: int) -> tuple[int, int] | None:
    """The two axes of scores that a product made of every pair of one axis's positions (self-attention); else None.

    Scales, masks, biases and dropout may stand between the product and the scores.
    """
    node = graph[index]
    while node.kind == "op" and node.inputs and not has_role(node, "product"):
        if not has_role(node, "scale", "masking", "same", "sum") and not node.op.startswith("dropout"):
            return None
        larger = [i for i in node.inputs if graph[i].shape == node.shape and active[i]]
        if len(larger) != 1:
            return None
        node = graph[larger[0]]
    if not has_role(node, "product") or len(node.inputs) != 2 or not all(active[i] for i in node.inputs):
        return None
    found = axes[node.index]
    last = len(found) - 1
    if last < 1 or not found[last - 1].same(found[last]):
        return None
    return last - 1, last
