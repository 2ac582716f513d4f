"""What a recorded network costs: parameters, multiply-adds and activation bytes.

Multiply-adds are those of convolutions, linear layers and matrix products, without bias, as papers count them; each row
of the table of operations names its formula in `_MACS`. What multiplies but has no formula is told by `uncounted`,
never taken for zero.
"""

from collections.abc import Callable, Mapping
from math import prod

from skipstone.core.cost import Cost
from skipstone.core.graph import Graph, Node, NodeRef
from skipstone.graphs.operations import operation

_ALLOCATIONS = frozenset("empty empty_like empty_strided new_empty new_empty_strided".split())
"""Memory that holds nothing yet: it counts where it is written to."""


def cost(graph: Graph) -> Cost:
    """The cost of the recorded forward pass, for the batch it was recorded with.

    Activation bytes are those of every operation's output that is new memory: views and in-place results are not.
    """
    operations = [node for node in graph if node.kind == "op" and node.op not in _ALLOCATIONS]
    known = {node.storage for node in graph if node.kind != "op"}
    activation_bytes = 0
    for node in operations:
        if node.storage not in known or (node.storage == -1 and node.overwrites is None):
            activation_bytes += node.spec.nbytes
        known.add(node.storage)
    return Cost(
        num_parameters=sum(prod(p.spec.shape) for p in graph.parameters),
        macs=sum(macs(node, graph) or 0 for node in operations),
        activation_bytes=activation_bytes,
    )


def batch_of(graph: Graph) -> int:
    """How many inputs were recorded at once: the first axis of the first input, 1 where it has none."""
    shape = graph[graph.inputs[0]].shape if graph.inputs else ()
    return max(shape[0], 1) if shape else 1


def macs(node: Node, graph: Graph) -> int | None:
    """The multiply-adds of one operation; 0 for what multiplies no matrices, None where there is no formula for it."""
    return _MACS[operation(node.op).macs](node, graph)


def uncounted(graph: Graph) -> tuple[Node, ...]:
    """The operations that multiply matrices in a way that no formula here covers."""
    return tuple(node for node in graph if node.kind == "op" and macs(node, graph) is None)


def _shape(node: Node, graph: Graph, name: str, position: int) -> tuple[int, ...]:
    reference = node.argument(name)
    index = reference.index if isinstance(reference, NodeRef) else node.inputs[position]
    return graph[index].shape


def _convolution(node: Node, graph: Graph) -> int:
    # weight: (C_out, C_in / groups, *kernel); every output value is one product with all but its first axis
    return prod(node.shape) * prod(_shape(node, graph, "weight", 1)[1:])


def _transposed_convolution(node: Node, graph: Graph) -> int:
    # weight: (C_in, C_out / groups, *kernel); every input value is multiplied with all but its first axis
    return prod(_shape(node, graph, "input", 0)) * prod(_shape(node, graph, "weight", 1)[1:])


def _inner(node: Node, graph: Graph) -> int:
    return prod(node.shape) * _shape(node, graph, "input", 0)[-1]


def _added_product(node: Node, graph: Graph) -> int:
    return prod(node.shape) * graph[node.inputs[-1]].shape[-2]


def _bilinear(node: Node, graph: Graph) -> int:
    return prod(node.shape) * prod(_shape(node, graph, "weight", 2)[1:])


def _attention(node: Node, graph: Graph) -> int:
    """softmax(Q Kᵀ) V: (..., L, E) x (..., S, E) -> (..., L, S), then x (..., S, V)."""
    query, key = (_shape(node, graph, name, i) for i, name in enumerate(("query", "key")))
    return prod(query[:-1]) * key[-2] * (query[-1] + node.shape[-1])


def _einsum(node: Node, graph: Graph) -> int | None:
    """Every letter once, for two operands; the order in which more than two are contracted is not known."""
    equation = next((value for value in node.arguments.values() if isinstance(value, str)), None)
    if equation is None or len(node.inputs) != 2 or "." in equation:
        return None
    letters = equation.replace(" ", "").partition("->")[0].split(",")
    sizes = {
        letter: size
        for term, index in zip(letters, node.inputs, strict=True)
        for letter, size in zip(term, graph[index].shape, strict=True)
    }
    return prod(sizes.values())


def _unknown(node: Node, graph: Graph) -> None:
    """Whole layers or products inside one call."""


_MACS: Mapping[str, Callable[[Node, Graph], int | None]] = {
    "": lambda node, graph: 0,
    "unknown": _unknown,
    "convolution": _convolution,
    "transposed": _transposed_convolution,
    "inner": _inner,
    "added": _added_product,
    "bilinear": _bilinear,
    "attention": _attention,
    "einsum": _einsum,
}
