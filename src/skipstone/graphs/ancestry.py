"""Who descends from whom in a recorded pass: activity, ancestors, dominators, layers on the way."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import MERGES, has_role
from skipstone.graphs.roles import is_layer, is_transparent, value_operands
from skipstone.graphs.walks import back


@dataclass
class Ancestry:
    """Facts about every node of a graph, filled in one sweep over the nodes in their order.

    `active[i]`: node i carries values of the model's input; `values[i]`: the operands whose values it takes.
    `ancestors[i]`: bit j is set where node j leads to node i (i itself included); `carried[i]`: the same, where it does
    so otherwise than as a gate on other values; `gates[i]`: the factors of product i that are gates. `dominator[i]`:
    the nearest active node that every path from an input to i passes, -1 for none. `layers[i]`: 1 where node i is one.
    """

    graph: Graph
    active: list[bool] = field(default_factory=list)
    values: list[tuple[int, ...]] = field(default_factory=list)
    ancestors: list[int] = field(default_factory=list)
    carried: list[int] = field(default_factory=list)
    dominator: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)
    gates: dict[int, set[int]] = field(default_factory=dict)
    _active_bits: int = 0

    def __post_init__(self) -> None:
        for node in self.graph:
            if node.inputs:
                self._add(node)
            else:  # a third of a record: weights and constants, of which there is nothing to ask
                self._append(node, (), node.kind == "input", dominator=-1, layer=False)

    def _add(self, node: Node) -> None:
        is_active = self.active.__getitem__
        sources = value_operands(self.graph, node, is_active)
        active_sources = [i for i in sources if self.active[i]]
        gates = self._gates(node, sources)
        if gates:
            self.gates[node.index] = gates
        dominator = active_sources[0] if active_sources else -1
        for i in active_sources[1:]:
            dominator = self.common(dominator, i)
        layer = bool(active_sources) and is_layer(self.graph, node, is_active)
        self._append(node, sources, bool(active_sources), dominator, layer, gates)

    def _append(
        self,
        node: Node,
        sources: tuple[int, ...],
        active: bool,
        dominator: int,
        layer: bool,
        gates: Collection[int] = (),
    ) -> None:
        own = 1 << node.index
        ancestors = carried = own
        for i in sources:
            ancestors |= self.ancestors[i]
            if i not in gates:
                carried |= self.carried[i]
        self.values.append(sources)
        self.active.append(active)
        self.ancestors.append(ancestors)
        self.carried.append(carried)
        self._active_bits |= own if active else 0
        self.dominator.append(dominator)
        self.depth.append(self.depth[dominator] + 1 if dominator >= 0 else 1)
        self.layers.append(int(layer))

    def _gates(self, node: Node, sources: Sequence[int]) -> set[int]:
        """The factors of a product that only say how much of the other one passes."""
        if node.op != "mul" or len(sources) != 2 or not all(self.active[i] for i in sources):
            return set()
        squashed_by = {i: self.graph[back(self.graph, i, _resized)].op for i in sources}
        # A share between 0 and 1 is the gate of a state between -1 and 1 (GRU, WaveNet), not the other way round.
        for gates in (_SHARES, _SHARES | {"tanh"}):
            squashed = {i for i, op in squashed_by.items() if op in gates}
            if len(squashed) == 1:
                return squashed
        return set()

    def common(self, a: int, b: int) -> int:
        """The nearest node on every path to both, -1 for none."""
        while a != b:
            if a < 0 or b < 0:
                return -1
            if self.depth[a] > self.depth[b]:
                a = self.dominator[a]
            elif self.depth[b] > self.depth[a]:
                b = self.dominator[b]
            else:
                a, b = self.dominator[a], self.dominator[b]
        return a

    def latest(self, nodes: Sequence[int], relation: Sequence[int]) -> int:
        """The latest active tensor that all the nodes come from, by whichever of several inputs; -1 for none.

        Of several of which none leads to another (a stream and the mask on it, a map and the vector that conditions it)
        the one that holds most values.
        """
        shared = self._active_bits
        for i in nodes:
            shared &= relation[i]
        best, most = -1, (False, -1)
        while shared:
            index = shared.bit_length() - 1
            spec = self.graph[index].spec
            amount = ("int" not in spec.dtype and spec.dtype != "bool", spec.nbytes)
            if amount > most:
                best, most = index, amount
            shared &= ~self.ancestors[index]
        return best

    def leads_to(self, a: int, b: int) -> bool:
        return bool(self.ancestors[b] >> a & 1)

    def active_inputs(self, index: int) -> list[int]:
        return [i for i in self.values[index] if self.active[i]]

    def strip(self, index: int) -> int:
        """Back over what leaves values as they are but for a factor that is not the input's: views, dropout, scales."""
        while True:
            node = self.graph[index]
            sources = self.active_inputs(index) if self.active[index] else self.values[index]
            if node.kind != "op" or len(sources) != 1:
                return index
            scaled = has_role(node, "scale", "masking") or (
                node.op in MERGES and MERGES[node.op] == "add" and len(node.inputs) == 1
            )
            if not (is_transparent(node) or scaled):
                return index
            index = sources[0]

    def longest(
        self, source: int, targets: Sequence[int], relation: Sequence[int] | None = None
    ) -> dict[int, tuple[int, int]]:
        """For each node on a path from `source` to a target: the most layers after it, then the most nodes."""
        relation = self.ancestors if relation is None else relation
        wanted = _union(0, (relation[i] for i in targets))
        best = {source: (0, 0)}
        for index in range(source + 1, max(targets) + 1):
            if not wanted >> index & 1 or not relation[index] >> source & 1:
                continue
            reached = [best[i] for i in self.values[index] if i in best and relation[index] >> i & 1]
            if reached:
                layers = max(count for count, _ in reached) + self.layers[index]
                best[index] = (layers, max(count for _, count in reached) + 1)
        return best


_SHARES = frozenset(("sigmoid", "hardsigmoid", "softmax"))


def _union(start: int, bits: Iterable[int]) -> int:
    for one in bits:
        start |= one
    return start


def _resized(node: Node) -> bool:
    """Is a gate still a gate behind it: viewed, cut, resized, or taken from one (a carry gate is `1 - T`)?"""
    complement = node.op in ("sub", "rsub") and len(node.inputs) == 1
    return complement or has_role(node, "transparent") or node.op in ("getitem", "interpolate")
