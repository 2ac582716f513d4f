"""Swapped axes: two axes change places on a branch, hidden by an input where both have one size.

What it finds:
    A residual sum whose branch has two axes of its shortcut the other way round, so that it runs on square inputs
    alone (proven by the axes' origins, or by a record on a rectangular input), and a view that reads features as
    places: (batch, features, ...) viewed as (batch, ..., features) without a permutation.
Why it matters:
    Every value meets the transposed one's, or a token holds a row of one channel instead of one place's features.
Example:
    `x.view(B, -1, C)` of a (B, C, H, W) map; `y.view(B, C, W, H)` added to (B, C, H, W).
Repair:
    `flatten(2).transpose(1, 2)` for tokens, the sizes in their order for maps.
Effect of the repair:
    No parameters; another function.
References:
    PyTorch documentation, Tensor.view (the order of the values stays).
"""

from collections.abc import Iterator

from skipstone.checks.around import back, met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.core.skip import Skip
from skipstone.graphs.operations import names
from skipstone.graphs.roles import CONV

RULE = Rule("SK218", "swapped-axes", "warning", "two axes change places on a branch, hidden by a square input")
_MOVES = names("moves axes")
_LAST = names("features last")
_KEEPS = names("norm", "rectifier", "pointwise", "pool", "average pool", "resample", "same", "sum", "scale") | {
    "dropout"
}


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    if graph.failures or graph.stopped is not None:
        return
    yield from _views(subject)
    suspects = [skip for skip in subject.skips if _may_swap(graph, skip)]
    if not suspects:
        return
    rectangular = _rectangular(subject)
    for skip in suspects:
        merge = graph[skip.merge_node]
        pair = _swapped_by_origin(subject, merge) or _swapped_by_size(graph, rectangular, merge)
        if pair is not None:
            text = shape_text(merge.shape)
            message = f"axes {pair[0]} and {pair[1]} of {text} are swapped on one branch: it runs on square sizes alone"
            yield Fault(at(merge), message, met(graph, merge))


def _may_swap(graph: Graph, skip: Skip) -> bool:
    """Is a sum of equal shapes with two equal axes made behind views or permutations?"""
    merge = graph[skip.merge_node]
    shapes = met(graph, merge)
    square = len(set(merge.shape[1:])) < len(merge.shape[1:])
    moved = any(graph[i].op in _MOVES for i in (*skip.main, *skip.shortcut))
    return (
        skip.is_block_skip and skip.merge == "add" and square and moved and len(set(shapes)) == 1 and len(shapes) == 2
    )


def _swapped_by_origin(subject: Subject, merge: Node) -> tuple[int, int] | None:
    first, second = (subject.axes[i] for i in merge.inputs[:2])
    for a in range(len(first)):
        for b in range(a + 1, len(first)):
            crossed = first[a].same(second[b]) and first[b].same(second[a])
            if crossed and not first[a].same(first[b]):
                return a, b
    return None


def _rectangular(subject: Subject) -> Graph | None:
    """The record of an input with its last axis twice as long as the one before, if they are alike."""
    shape = subject.graph[subject.graph.inputs[0]].shape
    if len(shape) < 3 or shape[-1] != shape[-2] or shape[-1] < 2:
        return None
    return subject.with_axis(len(shape) - 1, 2 * shape[-1])


def _swapped_by_size(graph: Graph, rectangular: Graph | None, merge: Node) -> tuple[int, int] | None:
    """Does the merge fail on the rectangular input, its operands having two sizes the other way round?"""
    if rectangular is None or merge.index >= len(rectangular):
        return None
    twin = rectangular[merge.index]
    if twin.op != merge.op or twin.failure is None or twin.tainted or len(twin.failure.operands) < 2:
        return None
    first, second = twin.failure.operands[:2]
    if len(first) != len(second):
        return None
    parted = [axis for axis in range(len(first)) if first[axis] != second[axis]]
    crossed = len(parted) == 2 and (first[parted[0]], first[parted[1]]) == (second[parted[1]], second[parted[0]])
    return (parted[0], parted[1]) if crossed else None


def _views(subject: Subject) -> Iterator[Fault]:
    """Views of a convolutional map whose last axis is as long as the features and read as such, but is not they."""
    graph = subject.graph
    for node in graph:
        if node.op not in ("view", "reshape") or node.tainted or len(node.shape) != 3:
            continue
        source = graph[node.inputs[0]]
        if not _is_map(graph, source) or not _misread(graph, source.shape, node):
            continue
        message = (
            f"{node.op} of {shape_text(source.shape)} to {shape_text(node.shape)} mixes places into the features: "
            "the values keep their order, the features are on axis 1"
        )
        yield Fault(at(node), message, (source.shape, node.shape))


def _is_map(graph: Graph, node: Node) -> bool:
    """Did a convolution make it, be it norms, activations, pools or sums ago?"""
    rank = len(node.shape)
    maker = graph[back(graph, node.index, lambda step: step.op in _KEEPS and len(graph[step.inputs[0]].shape) == rank)]
    return maker.op in CONV and len(maker.shape) == rank >= 3


def _misread(graph: Graph, source: tuple[int, ...], node: Node) -> bool:
    """(B, C, *places) to (B, places, C), where no axis at the end makes up the last one, and layers read it as C."""
    features, places = source[1], source[2:]
    if node.shape[0] != source[0] or node.shape[2] != features or features in (1, places[-1]):
        return False
    total = 1
    for size in reversed(places):
        total *= size
        if total == features:
            return False  # whole trailing axes: rows or columns as tokens, as axial attention reads them
    return node.shape[1] == total > 1 and _read_as_features(graph, node.index)


def _read_as_features(graph: Graph, index: int) -> bool:
    users = [graph[i] for i in graph.users[index]]
    return any(user.op in _LAST for user in users) or any(
        graph[j].op in _LAST for user in users if user.op in ("add", "dropout") for j in graph.users[user.index]
    )
