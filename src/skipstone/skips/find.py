"""Graph -> skips: where paths that left one tensor meet again, and what kind of shortcut the shorter one is.

The rules are those of the architecture's section "The skip connection as a graph property".
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import nn

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Merge, Skip, SkipKind
from skipstone.skips.ancestry import Ancestry
from skipstone.tracing import trace
from skipstone.tracing.roles import CONV, LAYER, MERGES, NORM, RESAMPLE, SLICES, TRANSPARENT, merge_of

_SOFTMAX_REACH = 6  # transparent steps between a score bias and its softmax


def find_skips(model: nn.Module | Graph, example: object = None) -> tuple[Skip, ...]:
    """Every place where paths from one tensor meet again, in the order of the forward pass.

    Takes a model and an example input, or a recorded graph. One `Skip` for each merging operation; gates, parallel
    branches, score biases and trivial arithmetic are listed too, told apart by `kind`.
    """
    graph = model if isinstance(model, Graph) else trace(model, example)
    ancestry = Ancestry(graph)
    found = _found(graph, ancestry)
    return tuple(replace(skip, index=number) for number, skip in enumerate(found))


def _found(graph: Graph, ancestry: Ancestry) -> Iterator[Skip]:
    for node in graph:
        merge = merge_of(graph, node) if ancestry.active[node.index] else None
        if merge is not None:
            skip = _skip(graph, ancestry, node, merge)
            if skip is not None:
                yield skip


def _skip(graph: Graph, ancestry: Ancestry, node: Node, merge: Merge) -> Skip | None:
    operands = _operands(graph, ancestry, node, merge)
    stripped = [ancestry.strip(i) for i in operands]
    if len(set(stripped)) < 2:
        return None
    source = _source(ancestry, stripped)
    if source is None:
        return None
    best = ancestry.longest(source, node.index)
    lengths = [best.get(i, (0, 0)) for i in stripped]
    order = sorted(range(len(stripped)), key=lambda k: (lengths[k], stripped[k]))
    short, main = order[0], order[-1]
    span = max(layers for layers, _ in lengths)
    short_path = _path(ancestry, best, source, operands[short])
    main_path = _path(ancestry, best, source, operands[main])
    ops = tuple(graph[i].op for i in short_path if graph[i].op not in TRANSPARENT)
    kind = _kind(graph, ancestry, node, merge, source, span, (stripped[short], stripped[main]), short_path, main_path, operands)
    return Skip(
        index=-1,
        kind=kind,
        merge=merge,
        source=_name(graph, source),
        target=node.module or "forward",
        module=node.module,
        span=span,
        source_node=source,
        merge_node=node.index,
        main_operand=operands[main],
        short_operand=operands[short],
        main=main_path,
        shortcut=short_path,
        shortcut_ops=ops,
        file=node.place.file if node.place else None,
        line=node.place.line if node.place else None,
        cost=graph[operands[short]].spec.nbytes,
    )


def _operands(graph: Graph, ancestry: Ancestry, node: Node, merge: Merge) -> list[int]:
    """The active operands, and a learned token that the other operand was computed from (a class token's own stream)."""
    operands = list(dict.fromkeys(node.inputs))
    active = [i for i in operands if ancestry.active[i]]
    if merge != "add" or len(active) != 1:
        return active
    for i in operands:
        if i != active[0] and _is_token_stream(graph, ancestry, i, active[0]):
            active.append(i)
    return active


def _is_token_stream(graph: Graph, ancestry: Ancestry, operand: int, other: int) -> bool:
    origin = ancestry.strip(operand)
    if graph[origin].kind != "parameter" or not ancestry.leads_to(operand, other):
        return False
    # A position table is added again and again; a stream's start is added once.
    additions = [i for i in graph.users[operand] if MERGES.get(graph[i].op) == "add"]
    return len(additions) == 1


def _source(ancestry: Ancestry, stripped: Sequence[int]) -> int | None:
    """Where the paths part: an operand that leads to another one, else the nearest node before all of them."""
    leading = [i for i in stripped if any(k != i and ancestry.leads_to(i, k) for k in stripped)]
    if leading:
        return min(leading)
    common = stripped[0]
    for i in stripped[1:]:
        common = ancestry.common(common, i)
    return common if common >= 0 else None


def _path(ancestry: Ancestry, best: dict[int, tuple[int, int]], source: int, operand: int) -> tuple[int, ...]:
    """The longest way from the source (excluded) to an operand (included)."""
    path = []
    index = operand
    while index != source:
        path.append(index)
        before = [i for i in ancestry.graph[index].inputs if i in best]
        if not before:
            break
        index = max(before, key=best.__getitem__)
    return tuple(reversed(path))


def _kind(graph, ancestry, node, merge, source, span, ends, short_path, main_path, operands) -> SkipKind:  # type: ignore[no-untyped-def]
    short_end, main_end = ends
    if span == 0 or _takes_identity_away(graph, node, ancestry, main_end):
        return "trivial"
    if merge == "mul":
        return "gate"
    if merge == "add" and _reaches_softmax(graph, node):
        return "score-bias"
    ops = [graph[i].op for i in short_path if graph[i].op not in TRANSPARENT]
    if ancestry.leads_to(short_end, main_end) or (not ops and short_end == source):
        return "identity"
    if _slices_of_one(graph, short_path, main_path) or (merge == "cat" and len(operands) > 2):
        return "parallel"
    if not ops:
        return "identity"
    layers = [graph[i] for i in short_path if ancestry.layers[i]]
    if not layers:
        if all(op in NORM for op in ops):
            return "norm"
        return "resample" if all(op in RESAMPLE or op in NORM for op in ops) else "parallel"
    return "projection" if _is_projection(ancestry, layers, ops, main_path, merge) else "parallel"


def _is_projection(
    ancestry: Ancestry, layers: Sequence[Node], ops: Sequence[str], main_path: Sequence[int], merge: Merge
) -> bool:
    """At most one layer, nothing that bends values, and less than the main branch has."""
    straight = all(op in NORM or op in RESAMPLE or op in LAYER or op in MERGES for op in ops)
    if len(layers) != 1 or not straight:
        return False
    main_layers = [ancestry.graph[i] for i in main_path if ancestry.layers[i]]
    if len(main_layers) > 1:
        return True
    return merge == "add" and _is_pointwise(ancestry.graph, layers[0]) and not _is_pointwise(ancestry.graph, main_layers[0])


def _is_pointwise(graph: Graph, layer: Node) -> bool:
    if layer.op not in CONV:
        return layer.op == "linear"
    return all(size == 1 for size in graph[layer.inputs[1]].shape[2:])


def _slices_of_one(graph: Graph, short_path: Sequence[int], main_path: Sequence[int]) -> bool:
    """Do the branches run on different slices of one tensor (ShuffleNet, Res2Net)?"""
    if not short_path or not main_path:
        return False
    first, other = graph[short_path[0]], graph[main_path[0]]
    return first.op in SLICES and other.op in SLICES and first.inputs[:1] == other.inputs[:1] and first.index != other.index


def _takes_identity_away(graph: Graph, node: Node, ancestry: Ancestry, main_end: int) -> bool:
    """`f(x) - x` removes the input from the branch (PoolFormer's token mixer); `x - f(x)` is a skip."""
    if node.op not in ("sub", "rsub") or len(node.inputs) < 2:
        return False
    minuend = node.inputs[0] if node.op == "sub" else node.inputs[1]
    return ancestry.strip(minuend) == main_end


def _reaches_softmax(graph: Graph, node: Node) -> bool:
    front = [node.index]
    for _ in range(_SOFTMAX_REACH):
        users = [graph[u] for i in front for u in graph.users[i]]
        if any(user.op == "softmax" for user in users):
            return True
        front = [u.index for u in users if u.op in TRANSPARENT or u.op in ("mul", "div", "add", "masked_fill")]
    return False


def _name(graph: Graph, index: int) -> str:
    """The module that made a tensor, or the input's or parameter's own name."""
    node = graph[index]
    if node.kind != "op":
        return node.name or node.kind
    finished = [call for call in graph.calls if index in call.outputs and call.path]
    return min(finished, key=lambda call: call.path.count(".")).path if finished else node.module or node.op


