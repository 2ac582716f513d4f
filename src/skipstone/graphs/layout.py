"""Which axis of a tensor holds its features: axis 1 behind a convolution, the last behind a linear layer."""

from collections.abc import Sequence

from skipstone.core.graph import Graph, Node
from skipstone.graphs.axes import landing
from skipstone.graphs.operations import has_role


class Layout:
    """Answers `feature_axis` for the nodes of one graph; None where reshaping has mixed the axes."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known: dict[int, int | None] = {}

    def feature_axis(self, index: int) -> int | None:
        """The axis of node `index` that holds features (channels), None where it is not certain."""
        for i in range(len(self._known), index + 1):
            self._known[i] = self._axis(self.graph[i])
        return self._known[index]

    def _axis(self, node: Node) -> int | None:
        rank = len(node.shape)
        if rank < 2:
            return None
        if has_role(node, "features first"):
            return 1
        if has_role(node, "features last"):
            return rank - 1
        if node.kind != "op":
            return self._asked_of(node)
        if not node.inputs:
            return None
        axis = self._known[node.inputs[0]]
        if axis is None:
            return None
        source = len(self.graph[node.inputs[0]].shape)
        if not has_role(node, "moves axes", "reduction", "transparent", "slice") and source == rank:
            return axis  # a cat along the features is still one of features
        landed = landing(self.graph, node, node.inputs[0], axis)
        if landed is None:
            return None
        # Features that a view has merged with other axes are no axis of features; flattened, they are what a linear
        # layer takes for them.
        return landed[0] if landed[1] or node.op == "flatten" else None

    def _asked_of(self, node: Node) -> int:
        """The features' axis of an input: what the first layer behind it takes for features."""
        rank = len(node.shape)
        pending = [(i, node.index, tuple(range(rank))) for i in self.graph.users[node.index]]
        seen = {node.index}
        while pending:
            index, source, axes = pending.pop(0)
            user = self.graph[index]
            if index in seen or len(user.shape) != rank:
                continue
            seen.add(index)
            if has_role(user, "features first"):
                return axes[1]
            if has_role(user, "features last"):
                return axes[-1]
            if has_role(user, "moves axes"):
                landed = {landing(self.graph, user, source, k): axes[k] for k in range(rank)}
                axes = tuple(landed.get((k, True), 0) for k in range(rank))
            pending.extend((i, index, axes) for i in self.graph.users[index])
        # Nothing tells: images come channels first, a sequence's features last.
        return 1 if rank >= 4 else rank - 1


def sizes_text(sizes: Sequence[int]) -> str:
    """`8x8`."""
    return "x".join(map(str, sizes))
