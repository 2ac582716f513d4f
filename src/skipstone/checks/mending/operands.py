"""The operands of a merge: which is the stream, whose size stays, which the branch, and what to call them."""

from dataclasses import dataclass, replace

from skipstone.checks.ledger import branches
from skipstone.checks.subject import Subject
from skipstone.core.finding import Shape
from skipstone.core.graph import Node
from skipstone.graphs.layout import sizes_text


@dataclass(frozen=True)
class Operands:
    """Positions among the call's tensors, their shapes, and the axes that are neither batch nor features.

    `main` and `short` are those of the branch and the shortcut; `fork` is the node that all come from, -1 for none.
    """

    node: Node
    shapes: tuple[Shape, ...]
    main: int
    short: int
    fork: int
    features: int | None
    labels: tuple[str, ...]  # as the ledger calls them
    fork_sizes: tuple[int, ...] = ()  # of the fork, on the same axes; () where it has other axes

    @classmethod
    def of(cls, subject: Subject, node: Node) -> "Operands":
        shapes = tuple(subject.graph[i].shape for i in node.inputs)
        fork = node.inputs[0]
        for index in node.inputs[1:]:
            fork = _common(subject, fork, index)
        main, short = _ends(subject, node)
        labels = tuple(branch.label for branch in branches(subject.graph, subject.ancestry, node))
        features = subject.layout.feature_axis(node.inputs[0])
        met = cls(node, shapes, main, short, fork, features, labels)
        if fork < 0 or len(subject.graph[fork].shape) != len(shapes[0]):
            return met
        return replace(met, fork_sizes=tuple(subject.graph[fork].shape[axis] for axis in met.spatial))

    @property
    def spatial(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(1, len(self.shapes[0])) if axis != self.features)

    def sizes(self, operand: int) -> tuple[int, ...]:
        """An operand's sizes on the axes that are neither batch nor features."""
        return tuple(self.shapes[operand][axis] for axis in self.spatial)

    @property
    def are_close(self) -> bool:
        """Do the sizes differ by rounding alone, less than by half?"""
        pairs = list(zip(*(self.sizes(k) for k in range(len(self.shapes))), strict=True))
        return bool(pairs) and all(max(pair) < 1.5 * min(pair) for pair in pairs)

    @property
    def stream(self) -> int:
        """The operand whose size the result is to keep.

        Maps far apart meet at the larger one's size, for what is sampled down is lost. Of close ones it is the one that
        the others were made from, or that alone still has the size of what all were made from; where they come from
        different inputs, the first one's.
        """
        count = len(self.shapes)
        if not self.are_close:
            return max(range(count), key=self.sizes)
        if self.fork in self.node.inputs:
            return self.node.inputs.index(self.fork)
        if self.fork < 0:
            return 0
        same = [k for k in range(count) if self.fork_sizes and self.sizes(k) == self.fork_sizes]
        if len({self.sizes(k) for k in range(count)}) > 1 and len(same) == 1:
            return same[0]
        whole = [k for k in range(count) if all(_covers(self.sizes(k), self.sizes(j)) for j in range(count))]
        return whole[-1] if whole else count - 1

    def name(self, operand: int) -> str:
        """`the branch (14x14)`."""
        sizes = sizes_text(list(self.sizes(operand)))
        if len(self.shapes) != 2 or len(self.labels) != 2:
            return f"operand {operand} ({sizes})"
        return f"the {self.labels[operand]} ({sizes})"


def _covers(size: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(a >= b for a, b in zip(size, other, strict=True))


def _common(subject: Subject, one: int, other: int) -> int:
    """The node from which both come: one of them, where it leads to the other."""
    ancestry = subject.ancestry
    if one < 0 or ancestry.leads_to(one, other):
        return one
    return other if ancestry.leads_to(other, one) else ancestry.common(one, other)


def _ends(subject: Subject, node: Node) -> tuple[int, int]:
    """The main and the short operand's positions among the call's tensors."""
    for skip in subject.skips:
        if skip.merge_node == node.index:
            return node.inputs.index(skip.main_operand), node.inputs.index(skip.short_operand)
    first, second = node.inputs[0], node.inputs[1]
    ancestors = subject.ancestry.ancestors
    return (0, 1) if ancestors[first].bit_count() >= ancestors[second].bit_count() else (1, 0)
