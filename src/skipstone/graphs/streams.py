"""Networks of several residual streams: which merges carry a stream on, and which products only mix streams."""

from skipstone.core.graph import Graph, Node
from skipstone.graphs.axes import axes_of, einsum_letters
from skipstone.graphs.forks import Fork
from skipstone.graphs.operations import has_role
from skipstone.graphs.walks import readers


def is_coupling(fork: Fork) -> bool:
    """Is a slice carried on past a branch that ran on another slice (`y1 = x1 + F(x2)`, 1707.04585, equation 1)?

    The sum goes on as a stream: it is joined, returned or added to again. In Res2Net (1904.01169), which adds slices
    too, nothing but the next convolution reads it.
    """
    if fork.merge != "add" or not all(has_role(node, "resample", "slice") for node in fork.operations(fork.short_path)):
        return False
    graph, index = fork.graph, fork.node.index
    return index in graph.outputs or any(
        not has_role(reader, "layer", "norm", "rectifier") for reader in readers(graph, index)
    )


def mixes_streams(graph: Graph, node: Node, carried: int) -> bool:
    """Does a product weigh copies of one tensor against each other (hyper-connections, 2409.19606), place by place?

    `carried` is the operand that holds the streams. What is summed is an axis that the network made for them, neither
    features nor an axis of its input, as tokens are.
    """
    axis = _contracted(graph, node, carried)
    if axis is None or axis == len(graph[carried].shape) - 1:
        return False
    return axes_of(graph)[carried][axis].kind in ("new", "kept", "fixed")


def _contracted(graph: Graph, node: Node, operand: int) -> int | None:
    """The one axis of an operand that a product sums over, with the operand's last axis kept last; None where else."""
    if node.op == "einsum":
        terms, result = einsum_letters(node)
        if len(terms) != len(node.inputs) or not result:
            return None
        letters = terms[node.inputs.index(operand)]
        gone = [axis for axis, letter in enumerate(letters) if letter not in result]
        return gone[0] if len(gone) == 1 and letters[-1] == result[-1] else None
    is_right = has_role(node, "product") and len(node.inputs) == 2 and node.inputs[1] == operand
    return len(graph[operand].shape) - 2 if is_right and len(graph[operand].shape) > 1 else None
