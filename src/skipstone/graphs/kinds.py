"""What kind of skip a fork of paths is, told by the operations on its shorter branch."""

from collections.abc import Sequence
from dataclasses import dataclass

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Merge, SkipKind
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.operations import MERGES, has_role, names
from skipstone.graphs.roles import CONV, NORM, RECTIFIER, SLICES, TRANSPARENT

# Pooling may be written as a reduction over axes that a view has split off.
_STRAIGHT = names("norm", "resample", "layer", "averaging") | frozenset(MERGES)
_SMALLER = names("resample", "averaging")


@dataclass(frozen=True)
class Fork:
    """A merge and the two of its operands that make the skip, with the paths that lead to them from the source.

    `common` is the nearest node before all operands, -1 for none; `source` that, or the operand (or term of an operand)
    that another was computed from, in which case `is_identity` is set.
    """

    graph: Graph
    ancestry: Ancestry
    node: Node
    merge: Merge
    operands: tuple[int, ...]
    source: int
    common: int
    span: int
    short: int
    main: int
    short_path: tuple[int, ...]
    main_path: tuple[int, ...]
    is_identity: bool


def kind_of(fork: Fork) -> SkipKind:
    """The kind of a fork; see the architecture's rules 5 and 6."""
    graph, ancestry = fork.graph, fork.ancestry
    if fork.span == 0 or _takes_identity_away(fork):
        return "trivial"
    if fork.merge == "mul":
        return "gate"
    if fork.merge == "add" and _reaches_softmax(fork):
        return "score-bias"
    ops = [graph[i].op for i in fork.short_path if graph[i].op not in TRANSPARENT]
    is_identity = fork.is_identity or (not ops and ancestry.strip(fork.short) == fork.source)
    if fork.merge == "cat" and (_joins_tokens(fork) or _slices_apart(fork)):
        return "parallel"
    if is_identity:
        return "identity"
    if _slices_apart(fork):
        return "parallel"
    if fork.merge == "cat" and (len(fork.operands) > 2 or _num_layers(fork, fork.main_path) < 2):
        return "parallel"  # the branches of an Inception module, some of which only pool
    return _by_operations(fork, ops)


def _by_operations(fork: Fork, ops: Sequence[str]) -> SkipKind:
    if not ops:
        return "identity"
    if not _num_layers(fork, fork.short_path):
        if all(op in NORM for op in ops):
            return "norm"
        return "resample" if all(op in _SMALLER or op in NORM for op in ops) else "parallel"
    return "projection" if _is_projection(fork, ops) else "parallel"


def _num_layers(fork: Fork, path: Sequence[int]) -> int:
    return sum(fork.ancestry.layers[i] for i in path)


def _is_projection(fork: Fork, ops: Sequence[str]) -> bool:
    """At most one layer that mixes channels, none but resampling before it, no bend, and less than the main branch."""
    graph, layers = fork.graph, fork.ancestry.layers
    if len(ops) > 2 and ops[0] in NORM and ops[1] in RECTIFIER:
        ops = ops[2:]  # pre-activation (1603.05027): the bend comes before the projection, as before the main branch
    short = [graph[i] for i in fork.short_path if layers[i]]
    main = [graph[i] for i in fork.main_path if layers[i]]
    if not all(op in _STRAIGHT for op in ops) or any(not _is_depthwise(graph, node) for node in short[:-1]):
        return False
    if len(main) > len(short):
        return True
    return fork.merge == "add" and is_pointwise(graph, short[0]) and not is_pointwise(graph, main[0])


def is_pointwise(graph: Graph, layer: Node) -> bool:
    if layer.op not in CONV:
        return layer.op == "linear"
    return all(size == 1 for size in graph[layer.inputs[1]].shape[2:])


def _is_depthwise(graph: Graph, layer: Node) -> bool:
    """A convolution of each channel by itself: a pooling with learned weights."""
    return layer.op in CONV and graph[layer.inputs[1]].shape[1] == 1 and graph[layer.inputs[0]].shape[1] > 1


def _slices_apart(fork: Fork) -> bool:
    """Do the branches run on different slices of one tensor (ShuffleNet, Res2Net, CSP), none on the whole?"""
    graph, ancestry = fork.graph, fork.ancestry
    if fork.common < 0 or any(ancestry.strip(i) == fork.common for i in fork.operands):
        return False
    first = [i for i in graph.users[fork.common] if any(ancestry.leads_to(i, operand) for operand in fork.operands)]
    while len(first) == 1 and graph[first[0]].op in TRANSPARENT:
        first = [i for i in graph.users[first[0]] if any(ancestry.leads_to(i, operand) for operand in fork.operands)]
    return len(first) > 1 and all(graph[i].op in SLICES for i in first)


def _joins_tokens(fork: Fork) -> bool:
    """Does the concatenation lengthen a sequence (a class token put back before its patches), not the features?"""
    graph, node = fork.graph, fork.node
    axis, rank = node.argument("dim", node.argument("axis", 0)), len(node.shape)
    if not isinstance(axis, int) or rank < 3:
        return False
    for index in reversed(fork.main_path):
        on_way = graph[index]
        if has_role(on_way, "conv"):
            return axis % rank != 1
        if has_role(on_way, "features last") and has_role(on_way, "layer", "norm"):
            return axis % rank != rank - 1
        if has_role(on_way, "moves axes"):
            return False
    return False


def _takes_identity_away(fork: Fork) -> bool:
    """`f(x) - x` removes the input from the branch (PoolFormer's token mixer); `x - f(x)` is a skip."""
    node = fork.node
    if node.op not in ("sub", "rsub") or len(node.inputs) < 2:
        return False
    minuend = node.inputs[0] if node.op == "sub" else node.inputs[1]
    return fork.ancestry.strip(minuend) == fork.ancestry.strip(fork.main)


def _reaches_softmax(fork: Fork) -> bool:
    """Are the sums scores, that is scaled, masked and biased by what was not made of them, and then a softmax?"""
    graph, leads_to = fork.graph, fork.ancestry.leads_to
    pending, seen = [fork.node.index], {fork.node.index}
    while pending:
        index = pending.pop()
        for user in (graph[i] for i in graph.users[index]):
            if user.op == "softmax":
                return True
            biased = user.op == "add" and not any(leads_to(index, i) for i in user.inputs if i != index)
            if (biased or has_role(user, "transparent", "scale", "masking")) and user.index not in seen:
                seen.add(user.index)
                pending.append(user.index)
    return False
