"""A merge with the two of its operands that make a skip, and what stands on the ways to them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Merge
from skipstone.graphs.ancestry import Ancestry
from skipstone.graphs.operations import has_role
from skipstone.graphs.roles import is_transparent


@dataclass(frozen=True)
class Fork:
    """A merge and the two of its operands that make the skip, with the paths that lead to them from the source.

    `source` is the latest tensor that all operands come from, or the operand (or term of an operand) that another was
    computed from, in which case `is_identity` is set. `common` is what all come from by every path, where there is such
    a tensor, else as `source`.
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

    def layers(self, path: Sequence[int]) -> list[Node]:
        """The layers on one of the paths."""
        return [self.graph[i] for i in path if self.ancestry.layers[i]]

    def operations(self, path: Sequence[int]) -> Iterator[Node]:
        """What changes values on one of the paths; a gate, or a mask from the side, only says how much passes."""
        stream = {self.source, *path}
        for node in (self.graph[i] for i in path):
            gated = node.index in self.ancestry.gates and not stream & self.ancestry.gates[node.index]
            masked = has_role(node, "scale", "masking") and self._only_masks(node)
            if not (is_transparent(node) or gated or masked):
                yield node

    def _only_masks(self, node: Node) -> bool:
        """Is all but the stream's own operand inactive, or a mask that does not come from the source?"""
        ancestry = self.ancestry
        others = [i for i in ancestry.active_inputs(node.index) if not ancestry.leads_to(self.source, i)]
        own = len(ancestry.active_inputs(node.index)) - len(others)
        return own == 1 and all(self._is_mask(i) for i in others)

    def _is_mask(self, index: int) -> bool:
        """Was it made of truth values, or given as an input (lengths, padding)?"""
        origin = self.graph[self.ancestry.strip(index)]
        return origin.kind == "input" or origin.spec.dtype == "bool"
