"""Which axis of a tensor holds its features: axis 1 behind a convolution, the last behind a linear layer."""

from collections.abc import Callable, Sequence

from skipstone.core.graph import Graph, Node
from skipstone.graphs.roles import CONV

_LAST = frozenset(
    [
        "linear",
        "layer_norm",
        "rms_norm",
        "embedding",
        "multi_head_attention_forward",
        "scaled_dot_product_attention",
        "lstm",
        "gru",
        "rnn_tanh",
        "rnn_relu",
    ]
)
_FIRST = CONV | {"batch_norm", "group_norm", "instance_norm"}


class Layout:
    """Answers `feature_axis` for the nodes of one graph; None where reshaping has mixed the axes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[int, int | None] = {}

    def feature_axis(self, index: int) -> int | None:
        """The axis of node `index` that holds features (channels), None where it is not certain."""
        for i in range(index + 1):
            if i not in self._known:
                self._known[i] = self._axis(self.graph[i])
        return self._known[index]

    def _axis(self, node: Node) -> int | None:
        rank = len(node.shape)
        if rank < 2:
            return None
        if node.op in _FIRST:
            return 1
        if node.op in _LAST:
            return rank - 1
        if node.kind != "op":
            return self._asked_of(node)
        sources = [i for i in node.inputs if i in self._known]
        if not sources:
            return None
        source = self.graph[sources[0]]
        axis = self._known[sources[0]]
        if axis is None:
            return None
        if node.op in ("view", "reshape"):
            return None  # which old axes went into which new ones is not looked at
        moved = _MOVES.get(node.op)
        if moved is not None:
            return moved(node, len(source.shape), axis)
        if len(source.shape) == rank:
            return axis
        return None

    def _asked_of(self, node: Node) -> int:
        """The features' axis of an input: what the first layer behind it takes for features."""
        rank = len(node.shape)
        pending = [(i, tuple(range(rank))) for i in self.graph.users[node.index]]
        seen = {node.index}
        while pending:
            index, axes = pending.pop(0)
            user = self.graph[index]
            if index in seen or len(user.shape) != rank:
                continue
            seen.add(index)
            if user.op in _FIRST:
                return axes[1]
            if user.op in _LAST:
                return axes[-1]
            if user.op in ("permute", "transpose"):
                moved = [_MOVES[user.op](user, rank, axis) for axis in range(rank)]
                axes = tuple(axes[moved.index(position)] if position in moved else 0 for position in range(rank))
            pending.extend((i, axes) for i in self.graph.users[index])
        # Nothing tells: images come channels first, a sequence's features last.
        return 1 if rank >= 4 else rank - 1


def _permute(node: Node, rank: int, axis: int) -> int | None:
    dims = node.argument("dims", ())
    if not isinstance(dims, tuple | list):
        return None
    positions = [i for i, d in enumerate(dims) if isinstance(d, int) and d % rank == axis]
    return positions[0] if positions else None


def _transpose(node: Node, rank: int, axis: int) -> int | None:
    first, second = node.argument("dim0", 0), node.argument("dim1", 1)
    if not isinstance(first, int) or not isinstance(second, int):
        return None
    swapped = {first % rank: second % rank, second % rank: first % rank}
    return swapped.get(axis, axis)


def _flatten(node: Node, rank: int, axis: int) -> int | None:
    start, end = node.argument("start_dim", 0), node.argument("end_dim", -1)
    if not isinstance(start, int) or not isinstance(end, int):
        return None
    start, end = start % rank, end % rank
    if start <= axis <= end:
        return start
    return axis if axis < start else axis - (end - start)


def _unsqueeze(node: Node, rank: int, axis: int) -> int | None:
    dim = node.argument("dim")
    if not isinstance(dim, int):
        return None
    return axis + 1 if dim % (rank + 1) <= axis else axis


def _reduced(node: Node, rank: int, axis: int) -> int | None:
    dims = node.argument("dim")
    if dims is None:
        return None
    listed = dims if isinstance(dims, tuple | list) else (dims,)
    gone = {d % rank for d in listed if isinstance(d, int)}
    if axis in gone:
        return None
    return axis if node.argument("keepdim") else axis - sum(d < axis for d in gone)


_MOVES: dict[str, Callable[[Node, int, int], int | None]] = {
    "permute": _permute,
    "transpose": _transpose,
    "flatten": _flatten,
    "unsqueeze": _unsqueeze,
    **dict.fromkeys(("mean", "sum", "amax", "amin", "std", "var", "logsumexp"), _reduced),
}


def sizes_text(sizes: Sequence[int]) -> str:
    """`8x8`."""
    return "x".join(map(str, sizes))
