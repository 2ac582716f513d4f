"""What kind of skip a fork of paths is, told by the operations on its shorter branch."""

from collections import Counter
from collections.abc import Sequence
from math import prod

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import SkipKind
from skipstone.graphs.conditioning import asks_alone, is_conditioning, scores_attention
from skipstone.graphs.forks import Fork
from skipstone.graphs.merges import cancels
from skipstone.graphs.operations import MERGES, has_role, names
from skipstone.graphs.roles import CONV, NORM, POOL, RECTIFIER, SLICES, TRANSPARENT, mixes_places
from skipstone.graphs.streams import is_coupling, mixes_streams
from skipstone.graphs.walks import readers

# Pooling may be written as a reduction over axes that a view has split off.
_STRAIGHT = names("norm", "resample", "layer", "averaging") | frozenset(MERGES)
_SMALLER = names("resample", "averaging")
_REDUCTIONS = names("averaging")
_LONGEST_UNIT = 3  # layers of one size in the unit on a bridge: a stacked hourglass's bottleneck (1603.06937)


def kind_of(fork: Fork) -> SkipKind:
    """The kind of a fork; docs/design/skips.md says what each is."""
    if _is_arithmetic(fork):
        return "trivial"
    if fork.merge == "mul":
        return "gate"
    if fork.merge == "add" and (_reaches_softmax(fork) or scores_attention(fork) or asks_alone(fork)):
        return "score-bias"
    if is_conditioning(fork):
        return "conditioning"
    ops = _operations(fork)
    if fork.merge == "cat" and (_joins_tokens(fork) or _slices_apart(fork) or _lists_outputs(fork)):
        return "parallel"
    if fork.is_identity or (not ops and fork.ancestry.strip(fork.short) == fork.source):
        return "identity"
    if _slices_apart(fork):
        if not is_coupling(fork):
            return "parallel"
        return "identity" if all(op in SLICES for op in ops) else "resample"
    if fork.merge == "cat" and (len(fork.operands) > 2 or len(fork.layers(fork.main_path)) < 2):
        return "parallel"  # the branches of an Inception module, some of which only pool
    return _by_operations(fork, ops)


def _is_arithmetic(fork: Fork) -> bool:
    """Is there no branch: no layer, nor (but for `cat`) a mixing of places without weights as in DANet (1809.02983)?"""
    if _takes_identity_away(fork) or cancels(fork.graph, fork.node):
        return True
    mixed = fork.merge in ("add", "mul") and any(mixes_places(fork.graph[i]) for i in fork.main_path)
    return fork.span == 0 and (not mixed or _is_of_groups(fork))


def _is_of_groups(fork: Fork) -> bool:
    """Is it a statistic of groups, handed back to their members, as softmax and norms over a graph's nodes take away?

    Messages go the other way: picked along the edges first, then summed.
    """
    moves = [node for node in map(fork.graph.__getitem__, fork.main_path) if has_role(node, "aggregating", "select")]
    return len(moves) > 1 and has_role(moves[-2], "aggregating") and not has_role(moves[-1], "aggregating")


def _operations(fork: Fork) -> list[str]:
    """What changes values on the shortcut, by name; a concatenation with nothing but zeros (option A) is a `pad`."""
    found = []
    for node in fork.operations(fork.short_path):
        others = set(node.inputs) - {fork.source, *fork.short_path}
        pads = node.op == "cat" and not any(
            fork.ancestry.active[i] or fork.graph[i].kind == "parameter" for i in others
        )
        found.append("pad" if pads else node.op)
    return found


def _by_operations(fork: Fork, ops: Sequence[str]) -> SkipKind:
    if not ops:
        return "identity"
    if not fork.layers(fork.short_path):
        if all(op in NORM for op in ops):
            return "norm"
        if all(op in _SMALLER or op in NORM for op in ops):
            return "resample"
    elif _is_projection(fork, ops):
        return "projection"
    if _mixes_streams(fork):
        return "projection"
    return "bridge" if _is_bridge(fork) else "parallel"


def _is_projection(fork: Fork, ops: Sequence[str]) -> bool:
    """At most one layer that mixes channels, none but resampling before it, and less than the main branch.

    A pointwise one may be bent (by a ReLU) where the main branch has two layers more, and where both begin with a bend.
    """
    graph = fork.graph
    ops = _behind_activation(fork, ops)
    if any(op in _REDUCTIONS for op in ops) and len(graph[fork.short].shape) < len(graph[fork.source].shape):
        return False  # the sum of several heads (EfficientViM, 2411.15241): each has a vector of its own map
    short, main = fork.layers(fork.short_path), fork.layers(fork.main_path)
    if fork.merge == "add" and len(main) > len(short) + 1 and is_pointwise(graph, short[-1]):
        ops = [op for op in ops if op not in RECTIFIER]  # a unit of the same make as the branch's (1803.10615)
    if not all(op in _STRAIGHT for op in ops) or any(not _only_resamples(graph, node) for node in short[:-1]):
        return False
    if len(main) > len(short):
        return True
    alone = is_pointwise(graph, short[0]) and not any(map(mixes_places, fork.operations(fork.short_path)))
    return fork.merge == "add" and alone and not is_pointwise(graph, main[0])


def _mixes_streams(fork: Fork) -> bool:
    """Is the shortcut nothing but a weighing of streams, beside a branch with layers of its own?"""
    found = list(fork.operations(fork.short_path))
    products = [node for node in found if has_role(node, "product")]
    others = [node for node in found if node not in products]
    if not products or any(node.op not in _SMALLER for node in others):
        return False
    before = (fork.source, *fork.short_path)
    return len(fork.layers(fork.main_path)) > len(products) and all(
        any(i in before and mixes_streams(fork.graph, node, i) for i in node.inputs) for node in products
    )


def _is_bridge(fork: Fork) -> bool:
    """Does a unit of a few layers a size cross over and at most grow, while the main branch comes up from below (a U)?

    At full size throughout, or from a small map by deconvolutions (UNETR, 2103.10504, figure 1).
    """
    size = _places(fork.node)
    if fork.merge not in ("add", "cat") or size is None:
        return False
    short, main = fork.layers(fork.short_path), fork.layers(fork.main_path)
    if len(main) <= len(short) or max(Counter(map(_places, short)).values(), default=0) > _LONGEST_UNIT:
        return False
    carried = fork.ancestry.carried[fork.main]  # a gate's squeeze is no way down: what passes stays at full size
    valued = [i for i in fork.main_path if carried >> i & 1]
    across, along = (
        [
            _places(node) or 0
            for node in map(fork.graph.__getitem__, path)
            if has_role(node, "features first", "spatial")
        ]
        for path in (fork.short_path, valued)
    )
    lowest = min((k for k, places in enumerate(along) if places < size), default=None)
    return lowest is not None and size in along[lowest:] and across[-1:] in ([], [size]) and across == sorted(across)


def _places(node: Node) -> int | None:
    """How many places a map (N, C, *places) has."""
    return prod(node.shape[2:]) if len(node.shape) > 2 else None


def _lists_outputs(fork: Fork) -> bool:
    """Is it a stack of results (one a stage of a stacked hourglass) that nothing reads any more?"""
    if fork.node.op != "stack":
        return False
    graph, index = fork.graph, fork.node.index
    return all(reader.op in TRANSPARENT for reader in readers(graph, index))


def _behind_activation(fork: Fork, ops: Sequence[str]) -> Sequence[str]:
    """Pre-activation (1603.05027): the bend comes before the projection, as before the main branch."""
    if len(ops) > 2 and ops[0] in NORM and ops[1] in RECTIFIER:
        return ops[2:]
    first = next(fork.operations(fork.main_path), None)  # Shake-Shake (1705.07485) bends without a norm
    return ops[1:] if ops[0] in RECTIFIER and first is not None and first.op == ops[0] else ops


def is_pointwise(graph: Graph, layer: Node) -> bool:
    if layer.op not in CONV:
        return layer.op == "linear"
    return all(size == 1 for size in graph[layer.inputs[1]].shape[2:])


def _only_resamples(graph: Graph, layer: Node) -> bool:
    """A pooling, or a convolution of each channel by itself: a pooling with weights.

    A blur (StyleGAN2, 1912.04958) may see channels as samples of one channel each, with a kernel that is not learned.
    """
    if layer.op in POOL:
        return True
    if layer.op not in CONV or graph[layer.inputs[1]].shape[1] != 1:
        return False
    weight = graph[layer.inputs[1]]
    return graph[layer.inputs[0]].shape[1] > 1 or (weight.shape[0] == 1 and weight.kind != "parameter")


def _slices_apart(fork: Fork) -> bool:
    """Do the branches run on different slices of one tensor (ShuffleNet, Res2Net, CSP), none on the whole?"""
    graph, ancestry = fork.graph, fork.ancestry
    if fork.common < 0 or any(ancestry.strip(i) == fork.common for i in fork.operands):
        return False
    first = [i for i in graph.users[fork.common] if any(ancestry.leads_to(i, operand) for operand in fork.operands)]
    while len(first) == 1 and graph[first[0]].op in TRANSPARENT:
        first = [i for i in graph.users[first[0]] if any(ancestry.leads_to(i, operand) for operand in fork.operands)]
    # Rows picked by an index (PointNet++, 1706.02413) are gathered from the whole, and some of them several times.
    return len(first) > 1 and all(graph[i].op in SLICES and len(graph[i].inputs) == 1 for i in first)


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
