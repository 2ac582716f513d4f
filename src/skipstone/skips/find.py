"""Graph -> skips: where paths that left one tensor meet again, and what kind of shortcut the shorter one is.

The rules are those of the architecture's section "The skip connection as a graph property".
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from torch import nn

from skipstone.core.errors import PartialRecordWarning, SkipstoneError
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Merge, Skip
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.forks import Fork
from skipstone.graphs.kinds import is_pointwise, kind_of
from skipstone.graphs.merges import merge_of, merged_operands
from skipstone.graphs.operations import MERGES
from skipstone.graphs.roles import POOL, TRANSPARENT
from skipstone.tracing import trace
from skipstone.tracing.session import Mode


def find_skips(model: nn.Module | Graph, example: object = None, *, mode: Mode | None = None) -> tuple[Skip, ...]:
    """Every place where paths from one tensor meet again, in the order of the forward pass.

    Takes a model and an example input, or a recorded graph. One `Skip` for each merging operation; gates, parallel
    branches, score biases and trivial arithmetic are listed too, told apart by `kind`. `mode` is "train" or "eval", as
    for `trace`: a network may leave skips out in one of them.

    Where recording the model stops, or runs out of time, a `PartialRecordWarning` says where, and the skips up to there
    are returned; of a graph, `Graph.stopped` says it.
    """
    if isinstance(model, Graph):
        if mode is not None:
            raise SkipstoneError(f"mode is {mode!r}, but the graph was recorded already, in a mode of its own")
        return skips_of(model, Ancestry(model))
    graph = trace(model, example, mode=mode)
    skips = skips_of(graph, Ancestry(graph))
    if graph.stopped is not None:
        text = f"the record is partial, {graph.stopped}; skips behind that are not known"
        warnings.warn(text, PartialRecordWarning, stacklevel=2)
    return skips


def skips_of(graph: Graph, ancestry: Ancestry) -> tuple[Skip, ...]:
    """The skips of a recorded graph whose ancestry is known already."""
    return tuple(replace(skip, index=number) for number, skip in enumerate(_found(graph, ancestry)))


def _found(graph: Graph, ancestry: Ancestry) -> Iterator[Skip]:
    for node in graph:
        merge = merge_of(graph, node) if ancestry.active[node.index] else None
        fork = None if merge is None else _fork(graph, ancestry, node, merge)
        if fork is not None:
            yield _skip(fork)


def _fork(graph: Graph, ancestry: Ancestry, node: Node, merge: Merge) -> Fork | None:
    operands = merged_operands(graph, ancestry, node, merge)
    stripped = [ancestry.strip(i) for i in operands]
    if len(set(stripped)) < 2:
        return None
    whole, valued = (_start(graph, ancestry, stripped, merge, bits) for bits in (ancestry.ancestors, ancestry.carried))
    # What reaches an operand as a gate alone is no start of a skip: in `cat(e * psi(e, d), d)` it is `e`.
    if valued is not None and valued != whole:
        fork = _between(graph, ancestry, node, merge, operands, stripped, valued, ancestry.carried)
        if fork.span:
            return fork
    if whole is None or (valued is None and merge != "mul"):
        return (
            None  # of another input than the gates (a GRU's candidate, whose reset gate has read the input joined on)
        )
    return _between(graph, ancestry, node, merge, operands, stripped, whole, ancestry.ancestors)


Edge = tuple[int, int, tuple[int, ...]]  # a node, its place among the operands, the places of those made from it


@dataclass(frozen=True)
class _Start:
    """Where the paths leave each other: the `source`, what all come from by every path, the identity edge if any."""

    source: int
    common: int
    edge: Edge | None


def _start(
    graph: Graph, ancestry: Ancestry, stripped: Sequence[int], merge: Merge, relation: Sequence[int]
) -> _Start | None:
    edge = _identity_edge(graph, ancestry, stripped, merge, relation)
    latest = ancestry.latest(stripped, relation)
    source = latest if edge is None else edge[0]
    if source < 0:
        return None
    common = reduce(ancestry.common, stripped)
    return _Start(source, common if common >= 0 else latest, edge)


def _between(
    graph: Graph,
    ancestry: Ancestry,
    node: Node,
    merge: Merge,
    operands: Sequence[int],
    stripped: Sequence[int],
    start: _Start,
    relation: Sequence[int],
) -> Fork:
    source, edge = start.source, start.edge
    best = ancestry.longest(source, operands, relation)
    lengths = [best.get(i, (0, 0)) for i in stripped]
    paths = [_path(ancestry, best, source, operand) for operand in operands]
    # Of equally deep paths a pooling and a 1x1 (ResNet-D) are the shortcut, though they are more operations.
    pooled = [_is_pooled_projection(graph, ancestry, path) for path in paths]
    order = sorted(range(len(stripped)), key=lambda k: (lengths[k][0], not pooled[k], lengths[k][1], stripped[k]))
    if edge is None:
        short, main = order[0], order[-1]
    else:
        short = edge[1]
        main = next(k for k in reversed(order) if k in edge[2])
    return Fork(
        graph=graph,
        ancestry=ancestry,
        node=node,
        merge=merge,
        operands=tuple(operands),
        source=source,
        common=start.common,
        span=max(layers for layers, _ in lengths),
        short=operands[short],
        main=operands[main],
        short_path=paths[short],
        main_path=paths[main],
        is_identity=edge is not None,
    )


def _skip(fork: Fork) -> Skip:
    node = fork.node
    line = fork.graph.line_of(node.index)
    return Skip(
        index=-1,
        kind=kind_of(fork),
        merge=fork.merge,
        source=_name(fork.graph, fork.source),
        target=node.module or "forward",
        module=node.module,
        span=fork.span,
        source_node=fork.source,
        merge_node=node.index,
        main_operand=fork.main,
        short_operand=fork.short,
        main=fork.main_path,
        shortcut=fork.short_path,
        shortcut_ops=tuple(fork.graph[i].op for i in fork.short_path if fork.graph[i].op not in TRANSPARENT),
        file=line.file if line else None,
        line=line.line if line else None,
        cost=_kept_bytes(fork),
    )


def _kept_bytes(fork: Fork) -> int:
    """What the shortcut has to hold in memory while the main branch runs: its latest tensor from before that branch."""
    begun = min((i for i in fork.main_path if fork.ancestry.layers[i]), default=fork.node.index)
    held = max(i for i in (fork.source, *fork.short_path) if i < begun or i == fork.source)
    return fork.graph[held].spec.nbytes


def _identity_edge(
    graph: Graph, ancestry: Ancestry, stripped: Sequence[int], merge: Merge, relation: Sequence[int]
) -> Edge | None:
    """An operand that others were computed from: (its node, its place among the operands, the places of the others).

    In a sum of several terms, written as a chain of additions, it may be a term: `x + f(x) + g(f(x))` holds two
    identity edges, one of them the term `f(x)` of its inner sum.
    """
    terms = [[i] for i in stripped]
    edges = _edges(relation, terms)
    if not edges and merge == "add":
        terms = [_terms(graph, ancestry, i) for i in stripped]
        edges = _edges(relation, terms)[-1:]
    if not edges:
        return None
    term, place = edges[0]
    led = (k for k, others in enumerate(terms) if k != place and any(relation[other] >> term & 1 for other in others))
    return term, place, tuple(led)


def _edges(relation: Sequence[int], terms: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Each term that leads to another operand's term, with its operand's place; the earliest made first."""
    return sorted(
        (term, place)
        for place, own in enumerate(terms)
        for term in own
        for other_place, others in enumerate(terms)
        if other_place != place and any(term != other and relation[other] >> term & 1 for other in others)
    )


def _terms(graph: Graph, ancestry: Ancestry, index: int) -> list[int]:
    """What a sum that is used once adds up, less the terms whose edge the sum itself has already made a skip."""
    if MERGES.get(graph[index].op) != "add" or len(graph.users[index]) != 1:
        return [index]
    inner = [ancestry.strip(i) for i in ancestry.active_inputs(index)]
    terms = [term for i in inner for term in _terms(graph, ancestry, i)]
    return [term for term in terms if not any(term != other and ancestry.leads_to(term, other) for other in terms)]


def _is_pooled_projection(graph: Graph, ancestry: Ancestry, path: Sequence[int]) -> bool:
    layers = [graph[i] for i in path if ancestry.layers[i]]
    pointwise = bool(layers) and all(is_pointwise(graph, layer) for layer in layers)
    return pointwise and any(graph[i].op in POOL for i in path)


def _path(ancestry: Ancestry, best: Mapping[int, tuple[int, int]], source: int, operand: int) -> tuple[int, ...]:
    """The longest way from the source (excluded) to an operand (included)."""
    path = []
    index = operand
    while index != source:
        path.append(index)
        before = [i for i in ancestry.values[index] if i in best]
        if not before:
            break
        index = max(before, key=best.__getitem__)
    return tuple(reversed(path))


def _name(graph: Graph, index: int) -> str:
    """The module that made a tensor, or the input's or parameter's own name."""
    node = graph[index]
    if node.kind != "op":
        return node.name or node.kind
    return graph.makers.get(index) or node.module or node.op
