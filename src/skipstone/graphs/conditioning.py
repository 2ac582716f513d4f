"""What is added to a stream from the side: a second input, or a vector made of the whole map and broadcast over it.

Such a sum conditions the stream; nothing goes past layers in it, so that it is no skip connection.
"""

from collections.abc import Iterator

from skipstone.core.graph import Graph
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.forks import Fork
from skipstone.graphs.operations import MERGES, has_role
from skipstone.graphs.roles import TRANSPARENT
from skipstone.graphs.walks import back, readers

_ATTENTION = frozenset(("multi_head_attention_forward", "scaled_dot_product_attention"))


def is_conditioning(fork: Fork) -> bool:
    """Is one operand a vector broadcast over the other, or an input that every layer only adds to the stream?"""
    if fork.merge != "add" or fork.node.failure is not None:
        return False
    if _is_side_input(fork.graph, fork.ancestry, fork.source):
        return True
    if fork.is_identity:  # the mean that a norm took away, given back (RevIN, ICLR 2022; Demucs, 1911.13254)
        return _is_broadcast(fork, fork.short) and _is_statistic(fork.graph, fork.ancestry.strip(fork.short))
    return any(_is_broadcast(fork, i) for i in (fork.short, fork.main))


def _is_statistic(graph: Graph, index: int) -> bool:
    """Is it one number for many places: a mean, a variance, a pooled vector?"""
    return has_role(graph[index], "reduction", "averaging", "average pool") and len(graph[index].inputs) == 1


def _is_broadcast(fork: Fork, operand: int) -> bool:
    """Has the operand one value for places that the sum tells apart? The samples' axis is not asked."""
    shape, whole = fork.graph[operand].shape, fork.node.shape
    padded = (1,) * (len(whole) - len(shape)) + shape
    return any(own == 1 < size for own, size in zip(padded[1:], whole[1:], strict=True))


def _is_side_input(graph: Graph, ancestry: Ancestry, source: int) -> bool:
    """Is a tensor read by additions alone, first by one to a stream that does not come from it (DETR's positions)?"""
    found = list(readers(graph, source))
    if not found or any(MERGES.get(reader.op) != "add" or len(reader.inputs) != 2 for reader in found):
        return False
    first = min(found, key=lambda reader: reader.index)
    others = [i for i in ancestry.active_inputs(first.index) if not ancestry.leads_to(source, i)]
    return len(others) == 1 and ancestry.latest((source, others[0]), ancestry.ancestors) < 0


def scores_attention(fork: Fork) -> bool:
    """Is the sum turned into one score a place, that is squashed and gates a map (Attention U-Net, 1804.03999)?"""
    graph = fork.graph
    if _is_squashed_to_gate(fork):
        return True
    for reader in readers(graph, fork.node.index):
        layer = _next_layer(graph, reader.index)
        if layer is None or not _narrows_to_one(fork, layer):
            return False
    return bool(graph.users[fork.node.index]) and not fork.is_identity


def _is_squashed_to_gate(fork: Fork) -> bool:
    """Is a squashed sum all that is read of it, and that a gate (self-calibration, SCNet, CVPR 2020)?"""
    graph, ancestry = fork.graph, fork.ancestry
    squashed = list(readers(graph, fork.node.index))
    gates = [(node.index, reader.index) for node in squashed for reader in readers(graph, node.index)]
    return (
        bool(gates)
        and all(has_role(node, "squash") for node in squashed)
        and all(index in ancestry.gates.get(product, ()) for index, product in gates)
    )


def _next_layer(graph: Graph, index: int) -> int | None:
    """The layer behind norms and rectifiers that are read by one operation each."""
    while has_role(graph[index], "rectifier", "norm", "transparent"):
        users = graph.users[index]
        if len(users) != 1:
            return None
        index = users[0]
    return index if has_role(graph[index], "layer") else None


def _narrows_to_one(fork: Fork, layer: int) -> bool:
    graph = fork.graph
    axis = -1 if has_role(graph[layer], "features last") else 1
    if len(graph[layer].shape) < 2 or graph[layer].shape[axis] != 1 or graph[fork.node.index].shape[axis] == 1:
        return False
    index = layer
    while True:
        users = list(readers(graph, index))
        if len(users) != 1:
            return False
        if has_role(users[0], "squash"):  # and gates something: a classifier's last layer may be squashed as well
            gates = fork.ancestry.gates.values()
            return any(fork.ancestry.leads_to(users[0].index, gate) for factors in gates for gate in factors)
        if not has_role(users[0], "norm"):
            return False
        index = users[0].index


def asks_alone(fork: Fork) -> bool:
    """Is the sum read as queries and keys alone, by attention that takes its values from before it?

    So positions are added to a stream, those that were made of it too (the boxes of DAB-DETR, 2201.12329, and RT-DETR,
    2304.08069): the sum says how much of the stream passes, and the stream passes without it.
    """
    graph, ancestry = fork.graph, fork.ancestry

    def origin(index: int) -> int:
        return back(graph, ancestry.strip(index), lambda node: node.op == "linear" or node.op in TRANSPARENT)

    asked = list(_values_weighed(fork, fork.node.index))
    return bool(asked) and all(
        i is not None and not ancestry.leads_to(fork.node.index, i) and origin(i) == origin(fork.short) for i in asked
    )


def _values_weighed(fork: Fork, index: int) -> Iterator[int | None]:
    """For each way that a tensor goes on, the values which the attention that it asks weighs; None for other ways."""
    graph = fork.graph
    for user in readers(graph, index):
        if user.op in _ATTENTION:
            yield user.inputs[2]
        elif user.op == "softmax":
            for reader in readers(graph, user.index):
                others = [i for i in reader.inputs if not fork.ancestry.leads_to(user.index, i)]
                yield others[0] if has_role(reader, "product") and others else None
        elif user.op == "linear" or has_role(user, "scale", "masking", "product"):
            yield from _values_weighed(fork, user.index)
        else:
            yield None
