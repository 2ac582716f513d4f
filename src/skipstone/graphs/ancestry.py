"""Who descends from whom in a recorded pass: activity, ancestors, dominators, layers on the way."""

from dataclasses import dataclass, field

from skipstone.core.graph import Graph
from skipstone.graphs.operations import MERGES, has_role
from skipstone.graphs.roles import SHAPE_ONLY, TRANSPARENT, is_layer


@dataclass
class Ancestry:
    """Facts about every node of a graph, filled in one sweep over the nodes in their order.

    `active[i]`: node i carries values of the model's input. `ancestors[i]`: bit j is set where node j leads to node i
    (i itself included). `dominator[i]`: the nearest active node that every path from an input to i passes, -1 for none.
    `layers[i]`: 1 where node i is a layer.
    """

    graph: Graph
    active: list[bool] = field(default_factory=list)
    ancestors: list[int] = field(default_factory=list)
    dominator: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    layers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for node in self.graph:
            silent = node.op in SHAPE_ONLY
            sources = [] if silent else list(dict.fromkeys(node.inputs))
            active_sources = [i for i in sources if self.active[i]]
            self.active.append(node.kind == "input" or bool(active_sources))
            bits = 1 << node.index
            for i in sources:
                bits |= self.ancestors[i]
            self.ancestors.append(bits)
            dominator = active_sources[0] if active_sources else -1
            for i in active_sources[1:]:
                dominator = self.common(dominator, i)
            self.dominator.append(dominator)
            self.depth.append(self.depth[dominator] + 1 if dominator >= 0 else 1)
            is_one = self.active[-1] and bool(active_sources) and is_layer(self.graph, node, self.active.__getitem__)
            self.layers.append(int(is_one))

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

    def leads_to(self, a: int, b: int) -> bool:
        return bool(self.ancestors[b] >> a & 1)

    def active_inputs(self, index: int) -> list[int]:
        return [i for i in dict.fromkeys(self.graph[index].inputs) if self.active[i]]

    def strip(self, index: int) -> int:
        """Back over what leaves values as they are but for a factor that is not the input's: views, dropout, scales."""
        while True:
            node = self.graph[index]
            sources = self.active_inputs(index) if self.active[index] else list(dict.fromkeys(node.inputs))
            if node.kind != "op" or len(sources) != 1:
                return index
            scaled = has_role(node, "scale") or (
                node.op in MERGES and MERGES[node.op] == "add" and len(node.inputs) == 1
            )
            if not (node.op in TRANSPARENT or scaled):
                return index
            index = sources[0]

    def longest(self, source: int, target: int) -> dict[int, tuple[int, int]]:
        """For each node on a path source -> target: the most layers after `source` up to it, then the most nodes."""
        best = {source: (0, 0)}
        for index in range(source + 1, target + 1):
            if not self.ancestors[target] >> index & 1 or not self.leads_to(source, index):
                continue
            reached = [best[i] for i in self.graph[index].inputs if i in best]
            if reached:
                layers = max(count for count, _ in reached) + self.layers[index]
                best[index] = (layers, max(count for _, count in reached) + 1)
        return best
