"""Sorts the operations torch refused by what went wrong: one fault, one rule."""

from collections.abc import Iterator, Sequence

from skipstone.checks.ledger import branches
from skipstone.checks.mending.channels_last import keras_advice
from skipstone.checks.rule import Fault, at
from skipstone.checks.subject import Subject
from skipstone.core.finding import Shape
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.graphs.layout import sizes_text
from skipstone.graphs.operations import SIZED, names
from skipstone.graphs.roles import CONV, JOINS, POOL

_ARITHMETIC = names("broadcasting")
_WIDTH = names("conv", "norm", "product", "features last") | {"prelu"}
_VERBS = {"add": "add", "sub": "subtract", "rsub": "subtract", "mul": "multiply", "div": "divide", "cat": "concatenate"}


def failing(subject: Subject, rule: str) -> Iterator[Node]:
    """The failed calls that belong to a rule, by its name; a call with several results counts once."""
    for node in subject.graph.failures:
        if node.output == 0 and rule_of(subject, node) == rule:
            yield node


def rule_of(subject: Subject, node: Node) -> str:
    """The rule that a failed node belongs to."""
    assert node.failure is not None
    text = node.failure.message
    if "more than 1 value per channel" in text or "more than 1 spatial element" in text:
        return "one-value-per-channel"
    if node.op in SIZED or node.op == "unflatten":
        return "reshape-mismatch"
    if node.op in _ARITHMETIC | JOINS:
        return _merge_fault(subject, node)
    if node.op in CONV and (_precisions(subject.graph, node) > 1 or _lacks_axes(subject.graph, node)):
        return "refused-operation"
    if node.op in CONV and _width_fits(subject.graph, node):
        return "too-small"
    if node.op in POOL or node.op in ("pad", "unfold"):
        return "too-small"
    return "wrong-width" if node.op in _WIDTH else "refused-operation"


def _merge_fault(subject: Subject, node: Node) -> str:
    assert node.failure is not None
    shapes = node.failure.operands
    if len(shapes) < 2:
        return "refused-operation"
    if len({len(shape) for shape in shapes}) > 1:
        return "fixed-table" if _is_short_table(subject, node) else "rank-mismatch"
    axes = parting_axes(node)
    if not axes:
        return "refused-operation"
    if node.op in _ARITHMETIC and any(is_table(subject, i) for i in node.inputs[:2]):
        return "fixed-table"
    if axes == (0,) and _is_folded_batch(subject.graph, shapes):
        return "batch-mismatch"
    features = subject.layout.feature_axis(node.inputs[0])
    return "channel-mismatch" if features in axes else "spatial-mismatch"


def _is_folded_batch(graph: Graph, shapes: Sequence[Shape]) -> bool:
    """Is one operand's first axis the input's batch, and the other's a multiple or a part of it?"""
    sizes = {shape[0] for shape in shapes}
    batch = graph[graph.inputs[0]].shape[:1]
    others = sizes - {*batch}
    return len(sizes) == 2 and len(others) == 1 and not (max(sizes) % min(sizes))


def parting_axes(node: Node) -> tuple[int, ...]:
    """The axes on which a merge's operands cannot meet: unequal and not 1; a concatenation's own axis aside."""
    assert node.failure is not None
    shapes = node.failure.operands
    rank = len(shapes[0])
    own = node.argument("dim", 0) if node.op == "cat" else None
    own = own % rank if isinstance(own, int) else None
    axes = []
    for axis in range(rank):
        sizes = {shape[axis] for shape in shapes}
        broadcast = {1} if node.op in _ARITHMETIC else set()
        if axis != own and len(sizes - broadcast) > 1:
            axes.append(axis)
    return tuple(axes)


def is_table(subject: Subject, index: int) -> bool:
    """Does a tensor hold learned or stored values alone, nothing that came of the input, be it only its shape?"""
    graph, ancestry = subject.graph, subject.ancestry
    stored = any(node.kind in ("parameter", "buffer") and ancestry.leads_to(node.index, index) for node in graph)
    return stored and not any(ancestry.leads_to(i, index) for i in graph.inputs)


def _is_short_table(subject: Subject, node: Node) -> bool:
    """Does a table of fewer axes, aligned on the right, agree on some axis and differ in length on another?"""
    if node.op not in _ARITHMETIC or not any(is_table(subject, i) for i in node.inputs[:2]):
        return False
    pairs = list(zip(*(reversed(subject.graph[i].shape) for i in node.inputs[:2]), strict=False))
    return any(a == b > 1 for a, b in pairs) and any(a != b and 1 not in (a, b) for a, b in pairs)


def _precisions(graph: Graph, node: Node) -> int:
    return len({graph[i].spec.dtype for i in node.inputs})


def _lacks_axes(graph: Graph, node: Node) -> bool:
    """Has the input fewer axes than the weight, by more than the batch? (One with more was stacked, not joined.)"""
    source, weight = graph[node.inputs[0]].shape, graph[node.inputs[1]].shape
    return len(weight) - len(source) > 1


def _width_fits(graph: Graph, node: Node) -> bool:
    source, weight = graph[node.inputs[0]].shape, graph[node.inputs[1]].shape
    groups = node.argument("groups", 1)
    width = weight[0] if "transpose" in node.op else weight[1] * (groups if isinstance(groups, int) else 1)
    axis = 1 if len(source) == len(weight) else 0
    return source[axis] == width


def merge_fault(subject: Subject, node: Node, *, channels: bool) -> Fault:
    """A merge whose operands cannot meet, with the ledger of both branches."""
    assert node.failure is not None
    graph = subject.graph
    shapes = node.failure.operands
    axes = parting_axes(node)
    features = subject.layout.feature_axis(node.inputs[0])
    spatial = [axis for axis in range(1, len(shapes[0])) if axis != features]
    told = []
    if channels and features is not None:
        told.append([f"{shape[features]} channels" for shape in shapes])
    if not channels or any(axis in spatial for axis in axes):
        told.append([sizes_text([shape[axis] for axis in spatial]) or shape_text(shape) for shape in shapes])
    message = ", ".join(merge_text(node, words) for words in told)
    ledger = branches(graph, subject.ancestry, node)
    return Fault(at(node), message, met(node), branches=ledger, notes=keras_advice(subject, node))


def met(node: Node) -> tuple[tuple[int, ...], ...]:
    """The shapes that met, up to and including the first that does not fit those before it."""
    assert node.failure is not None
    shapes, axes = node.failure.operands, parting_axes(node)
    for k in range(1, len(shapes)):
        if any(shapes[k][axis] != shapes[0][axis] for axis in axes):
            return shapes[: k + 1]
    return shapes


def merge_text(node: Node, words: list[str]) -> str:
    verb = _VERBS.get(node.op, node.op)
    link = {"add": "to", "subtract": "from", "concatenate": "with"}.get(verb, "by")
    return f"cannot {verb} {f' {link} '.join(dict.fromkeys(words))}"


def operands(node: Node) -> tuple[Shape, ...]:
    """The shapes that met in a failed call; none where torch did not tell."""
    return node.failure.operands if node.failure else ()
