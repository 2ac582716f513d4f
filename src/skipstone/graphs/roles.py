"""What part an operation plays in a network: the table's roles as sets of names, and what needs the graph to tell."""

from collections.abc import Callable

from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import has_role, names

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


def is_transparent(node: Node) -> bool:
    """Do the values pass unchanged: through a view, dropout, padding by nothing, or `x[:, None]`, which adds axes?"""
    if node.op == "pad":
        widths = node.arguments.get("pad")
        return isinstance(widths, tuple) and not any(widths)
    return node.op in TRANSPARENT or (node.op == "getitem" and only_adds_axes(node.arguments.get("index")))


def only_adds_axes(index: object) -> bool:
    items = index if isinstance(index, tuple) else (index,)
    return all(item is None or item is Ellipsis or item == slice(None) for item in items)


def value_operands(graph: Graph, node: Node, active: Callable[[int], bool]) -> tuple[int, ...]:
    """The operands whose values go into the result, each once: none of a shape, the first of `x.type_as(y)`.

    An index or a mask only says which values: it counts where there are no others, as in a table's lookup.
    """
    if has_role(node, "shape only"):
        return ()
    operands = tuple(dict.fromkeys(node.inputs))
    if has_role(node, "like", "masking"):
        return operands[:1]
    if has_role(node, "select") and active(operands[0]):
        return operands[:1]
    if node.op == "getitem" and active(operands[0]):
        return operands[:1]
    return operands


def is_layer(graph: Graph, node: Node, active: Callable[[int], bool]) -> bool:
    """Does the node mix values with weights, or across places as a token mixer does?

    A layer is a convolution, linear, recurrent, attention or embedding with a weight, a product with a weight, or an
    average pooling of several places that keeps the size (PoolFormer's token mixer, 2111.11418, section 3).
    """
    if has_role(node, "layer"):
        return any(not active(i) for i in node.inputs)
    if has_role(node, "product"):
        return any(not active(i) and graph[i].kind != "constant" for i in node.inputs)
    if has_role(node, "average pool") and not node.op.startswith("adaptive"):
        window = node.argument("kernel_size", 1)
        several = window != 1 and set(window if isinstance(window, tuple | list) else (0,)) != {1}
        return several and node.shape[2:] == graph[node.inputs[0]].shape[2:] and node.shape[2:] != ()
    return False


def mixes_places(node: Node) -> bool:
    """Does the operation read other places without any weight of its own: attention, messages, transforms?"""
    return has_role(node, "product", "aggregating", "transform") or node.op == "scaled_dot_product_attention"
