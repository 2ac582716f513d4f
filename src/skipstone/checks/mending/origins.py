"""Which layers made the features that a tensor holds: back through what keeps them and through concatenations."""

from skipstone.checks.subject import Subject
from skipstone.core.graph import Node
from skipstone.graphs.operations import names
from skipstone.graphs.roles import CONV

_PASSES = names("transparent", "resample", "rectifier", "norm", "averaging", "pool") | {"sum"}
_MAKES = frozenset(op for op in CONV) | {"linear"}


def made_by(subject: Subject, index: int) -> frozenset[int]:
    """The convolutions and linear layers whose outputs stand side by side in a tensor; empty where one is not known.

    A sum's features are those of its last operand with a layer behind it: all operands have them.
    """
    found: set[int] = set()
    pending, seen = [index], {index}
    while pending:
        node = subject.graph[pending.pop()]
        if node.op in _MAKES:
            found.add(node.index)
            continue
        sources = _sources(subject, node)
        if not sources:
            return frozenset()
        pending.extend(i for i in sources if i not in seen)
        seen.update(sources)
    return frozenset(found)


def _sources(subject: Subject, node: Node) -> tuple[int, ...]:
    """The nodes whose features a node holds."""
    if node.kind != "op" or not node.inputs:
        return ()
    if node.op == "cat":
        features = subject.layout.feature_axis(node.inputs[0])
        dim = node.argument("dim", 0)
        along = isinstance(dim, int) and features == dim % len(node.shape)
        return node.inputs if along else node.inputs[:1]
    if node.op == "add":
        return node.inputs[-1:] if subject.ancestry.active[node.inputs[-1]] else node.inputs[:1]
    return node.inputs[:1] if node.op in _PASSES else ()
