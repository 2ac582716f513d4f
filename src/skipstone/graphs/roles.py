"""What part an operation plays in a network: the table's roles as sets of names, and what needs the graph to tell."""

from collections.abc import Callable

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Merge
from skipstone.graphs.operations import MERGES, has_role, names

# Values pass through unchanged, or scaled by chance (dropout).
TRANSPARENT = names("transparent")
# What hands values on in their order: no scaling by chance, no cut of the gradient.
SAME_VALUES = names("same")
NORM = names("norm")
POOL = names("pool")
# Other sizes of the same values.
RESAMPLE = names("resample")
SLICES = names("slice")
CONV = names("conv")
LAYER = names("layer")
PRODUCT = names("product")
# Results that carry shapes or indices of a tensor, not its values.
SHAPE_ONLY = names("shape only")
SQUASH = names("squash")
RECTIFIER = names("rectifier")
JOINS = names("join")


def merge_of(graph: Graph, node: Node) -> Merge | None:
    """How a node merges its operands, None where it does not; a `stack` that is summed at once is an addition."""
    if node.kind != "op":
        return None
    if node.op == "stack":
        users = [graph[i].op for i in graph.users[node.index]]
        if users and all(op in ("sum", "mean", "max", "amax") for op in users):
            return "add" if users[0] == "sum" else "mean" if users[0] == "mean" else "max"
    return MERGES.get(node.op)


def is_layer(graph: Graph, node: Node, active: Callable[[int], bool]) -> bool:
    """Does the node mix values with weights, or across places as a token mixer does?

    A layer is a convolution, linear, recurrent, attention or embedding with a weight, a product with a weight, or an
    average pooling that keeps the size (PoolFormer's token mixer, 2111.11418, section 3).
    """
    if has_role(node, "layer"):
        return any(not active(i) for i in node.inputs)
    if has_role(node, "product"):
        return any(not active(i) and graph[i].kind != "constant" for i in node.inputs)
    if has_role(node, "average pool") and not node.op.startswith("adaptive"):
        return node.shape[2:] == graph[node.inputs[0]].shape[2:] and node.shape[2:] != ()
    return False
