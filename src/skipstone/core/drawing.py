"""A network as it is drawn: rows in the order of the forward pass, and an arc a skip. Plain data, from any Graph."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from skipstone.core.codec import Json, decode, encode
from skipstone.core.graph import Graph, ModuleCall, Node
from skipstone.core.skip import Skip

VERSION = 1
RowKind = Literal["input", "conv", "linear", "norm", "activation", "pool", "merge", "other"]

# A part of an operation's name -> the kind of row; the first that fits counts.
_KINDS: tuple[tuple[str, RowKind], ...] = (
    ("norm", "norm"),
    ("conv", "conv"),
    ("linear", "linear"), ("addmm", "linear"), ("matmul", "linear"), ("bmm", "linear"), ("einsum", "linear"),
    ("attention", "linear"), ("lstm", "linear"), ("gru", "linear"), ("rnn", "linear"), ("embedding", "linear"),
    ("pool", "pool"), ("interpolate", "pool"), ("pad", "pool"), ("pixel_", "pool"),
    ("relu", "activation"), ("gelu", "activation"), ("silu", "activation"), ("sigmoid", "activation"),
    ("tanh", "activation"), ("swish", "activation"), ("softmax", "activation"), ("elu", "activation"),
    ("mish", "activation"), ("glu", "activation"), ("softplus", "activation"),
)  # fmt: skip

# Bookkeeping between tensors: no row of its own.
_HIDDEN_OPS = frozenset(
    {"getitem", "contiguous", "to", "detach", "clone", "alias", "expand", "chunk", "split", "unbind"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """A layer or an operation. `name` is the module's path, or that of the module around the operation and its name.

    `what` is the class or operation; `shape` the output's; `num_parameters` those the module holds itself, counted
    where it first runs. `failure` names the shapes that torch refused to combine; `shape` is then an assumed one.
    """

    name: str
    what: str
    kind: RowKind
    shape: tuple[int, ...]
    num_parameters: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Arc:
    """A skip from row `source` to row `target`, by their index; `kind`, `merge`, `span` are the skip's."""

    source: int
    target: int
    kind: str
    merge: str
    span: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a picture of a network needs. `num_parameters` counts the network's, used or not."""

    title: str
    rows: tuple[Row, ...]
    arcs: tuple[Arc, ...]
    num_parameters: int

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "Drawing":
        return decode(cls, data, version=VERSION, where=where)


def draw(graph: Graph, skips: Iterable[Skip], title: str = "") -> Drawing:
    """The rows and arcs of a recorded network.

    A leaf module is one row, unless a skip starts or ends inside it; operations between modules have rows of their
    own. Trivial skips and arcs within one row are left out.
    """
    drawn = [skip for skip in skips if skip.kind != "trivial"]
    ends = {skip.merge_node for skip in drawn} | {skip.source_node for skip in drawn}
    merges = {skip.merge_node for skip in drawn}
    active = _active(graph)
    leaves = _leaf_calls(graph, ends, merges, active)
    row_of: dict[int, int] = {}
    rows: list[Row] = []
    seen: set[str] = set()
    for node in graph:
        leaf = leaves.get(node.index)
        if leaf is not None:
            if node.index == leaf.first:
                row_of.update(dict.fromkeys(range(leaf.first, leaf.last), len(rows)))
                rows.append(_leaf_row(graph, leaf, seen, merges))
        elif node.kind == "input" or (node.kind == "op" and node.index in active and _shown(node, merges)):
            row_of[node.index] = len(rows)
            rows.append(_node_row(graph, node, merges))
    arcs = (_arc(graph, skip, row_of) for skip in drawn)
    total = sum(_numel(parameter.spec.shape) for parameter in graph.parameters)
    return Drawing(title, tuple(rows), tuple(arc for arc in arcs if arc), total)


def condense(drawing: Drawing, kinds: Collection[RowKind]) -> Drawing:
    """The same network with rows of these kinds only; an arc's end moves back to the nearest row that is left."""
    kept = [i for i, row in enumerate(drawing.rows) if row.kind in kinds]
    place = {i: sum(k <= i for k in kept) - 1 for i in range(len(drawing.rows))}
    arcs = (replace(arc, source=max(0, place[arc.source]), target=place[arc.target]) for arc in drawing.arcs)
    return replace(
        drawing,
        rows=tuple(drawing.rows[i] for i in kept),
        arcs=tuple(arc for arc in arcs if arc.source < arc.target),
    )


def lanes(arcs: Sequence[Arc]) -> tuple[int, ...]:
    """A lane an arc, 0 nearest to the rows, so that no two in a lane overlap; arcs may touch end to start."""
    taken: list[list[tuple[int, int]]] = []
    lane_of = [0] * len(arcs)
    for i in sorted(range(len(arcs)), key=lambda i: (arcs[i].target - arcs[i].source, arcs[i].source)):
        start, end = arcs[i].source, arcs[i].target
        lane = next((n for n, used in enumerate(taken) if all(end <= a or b <= start for a, b in used)), len(taken))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((start, end))
        lane_of[i] = lane
    return tuple(lane_of)


def _leaf_calls(graph: Graph, ends: set[int], merges: set[int], active: set[int]) -> dict[int, ModuleCall]:
    """For each node made inside a module that calls no other: that call, where it is drawn as one row."""
    parents = {call.parent for call in graph.calls}
    leaves = {}
    for call in graph.calls:
        nodes = range(call.first, call.last)
        ran = [i for i in nodes if i in active and graph[i].kind == "op"]
        # A module may begin or end a skip; one that holds a skip's end and works besides is opened.
        closed = not any(i in ends and i not in call.outputs for i in nodes)
        if call.path and call.index not in parents and ran and closed and (len(ran) == 1 or merges.isdisjoint(ran)):
            leaves.update(dict.fromkeys(nodes, call))
    return leaves


def _active(graph: Graph) -> set[int]:
    """The nodes that the network's input reaches; arithmetic on parameters alone is not drawn."""
    active = set(graph.inputs)
    for node in graph:
        if any(i in active for i in node.inputs):
            active.add(node.index)
    return active


def _shown(node: Node, merges: set[int]) -> bool:
    return node.index in merges or node.op not in _HIDDEN_OPS


def _leaf_row(graph: Graph, leaf: ModuleCall, seen: set[str], merges: set[int]) -> Row:
    nodes = graph.nodes[leaf.first : leaf.last]
    info = graph.modules.get(leaf.path)
    shape = graph[leaf.outputs[0]].shape if leaf.outputs else nodes[-1].shape
    count = 0 if leaf.path in seen else _own_parameters(graph, leaf.path)
    seen.add(leaf.path)
    failure = next((_refused(graph, node) for node in nodes if node.failure), "")
    return Row(leaf.path, info.type if info else nodes[-1].op, _leaf_kind(nodes, merges), shape, count, failure)


def _leaf_kind(nodes: Sequence[Node], merges: set[int]) -> RowKind:
    """What matters most in a module: a merge, else a layer with weights, else the first operation with a kind."""
    if any(node.index in merges for node in nodes):
        return "merge"
    kinds = [_kind(node.op) for node in nodes if node.kind == "op"]
    ranked = sorted(kinds, key=lambda kind: (kind == "other", kind not in ("conv", "linear")))
    return ranked[0] if ranked else "other"


def _node_row(graph: Graph, node: Node, merges: set[int]) -> Row:
    if node.kind == "input":
        return Row(node.name or "input", "input", "input", node.shape)
    kind: RowKind = "merge" if node.index in merges else _kind(node.op)
    failure = _refused(graph, node) if node.failure else ""
    return Row(f"{node.module}.{node.op}" if node.module else node.op, node.op, kind, node.shape, 0, failure)


def _refused(graph: Graph, node: Node) -> str:
    """`add of (2, 3, 11, 11) and (2, 3, 32, 32)`."""
    return f"{node.op} of {' and '.join(str(graph[i].spec) for i in node.inputs)}"


def _arc(graph: Graph, skip: Skip, row_of: dict[int, int]) -> Arc | None:
    source, target = _row(graph, skip.source_node, row_of), _row(graph, skip.merge_node, row_of)
    if source is None or target is None or source >= target:
        return None
    return Arc(source, target, skip.kind, skip.merge, skip.span)


def _row(graph: Graph, index: int, row_of: dict[int, int]) -> int | None:
    """The row of a node, or of the nearest node before it that has one."""
    while index not in row_of:
        if not graph[index].inputs:
            return None
        index = graph[index].inputs[0]
    return row_of[index]


def _kind(op: str) -> RowKind:
    return next((kind for part, kind in _KINDS if part in op), "other")


def _own_parameters(graph: Graph, path: str) -> int:
    owned = (p for p in graph.parameters if p.name.rpartition(".")[0] == path)
    return sum(_numel(p.spec.shape) for p in owned)


def _numel(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count
