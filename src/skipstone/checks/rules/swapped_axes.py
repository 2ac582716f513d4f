"""Swapped axes: two axes change places on a branch, hidden by an input where both have one size.

What it finds:
    A residual sum whose branch has two axes of its shortcut the other way round, so that it runs on square inputs
    alone (proven by the axes' origins, or by a record on a rectangular input), and a view or reshape that stands where
    a permutation was due: features on axis 1 that the layers behind it read on the last axis, or the other way round.
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
from itertools import accumulate
from math import prod
from operator import mul

from skipstone.checks.around import met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, shape_text
from skipstone.core.skip import Skip
from skipstone.graphs.axes import landing
from skipstone.graphs.operations import has_role, names

RULE = Rule("SK218", "swapped-axes", "warning", "two axes change places on a branch, hidden by a square input")
_MOVES = names("moves axes")
_COLOURS = (3, 4)  # channels of an image; of one channel no view is wrong


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
    """Views that give the features another place in memory than they have, and are read as if they had not."""
    graph = subject.graph
    for node in graph:
        if has_role(node, "regroups") and not node.tainted and len(node.shape) > 2 and _misread(subject, node):
            source = graph[node.inputs[0]]
            message = (
                f"{node.op} of {shape_text(source.shape)} to {shape_text(node.shape)} mixes places into the features: "
                f"the values keep their order, the features are on axis {_features(subject, source)}"
            )
            yield Fault(at(node), message, (source.shape, node.shape))


def _misread(subject: Subject, node: Node) -> bool:
    """Do layers behind a view take an axis as long as the features for them, which does not lie where these do?"""
    source = subject.graph[node.inputs[0]]
    axis = _features(subject, source)
    if axis is None or len(source.shape) < 3 or node.shape[0] != source.shape[0]:
        return False
    width = source.shape[axis]
    taken = next((i for i in (1, len(node.shape) - 1) if _reads_features(subject.graph, node.index, i)), None)
    if taken is None or node.shape[taken] != width or width == 1:
        return False
    places = source.shape[1:axis] + source.shape[axis + 1 :]
    if prod(node.shape[1:taken]) == prod(source.shape[1:axis]) or prod(places) < 2:
        return False
    # Whole rows or columns as tokens, as axial attention (1912.12180) and CRNN (1507.05717) read them; a size that
    # is that of the features by chance may be one of the places.
    ends = places if taken == 1 else places[::-1]
    return width not in accumulate(ends, mul)


def _features(subject: Subject, source: Node) -> int | None:
    """The axis of the features where a layer has made them, or of an image whose colours come last."""
    if source.kind == "input":
        return len(source.shape) - 1 if len(source.shape) == 4 and source.shape[-1] in _COLOURS else None
    return subject.layout.feature_axis(source.index) if subject.ancestry.active[source.index] else None


def _reads_features(graph: Graph, index: int, axis: int) -> bool:
    """Does a layer behind a tensor, be it some steps behind, take that axis of it for the features?"""
    pending, seen = [(index, axis)], {index}
    while pending:
        source, place = pending.pop()
        for user in (graph[i] for i in graph.users[source]):
            rank = len(graph[source].shape)
            if has_role(user, "features first", "features last"):
                if user.inputs[0] == source and place == (1 if has_role(user, "features first") else rank - 1):
                    return True
            elif (has_role(user, "transparent", "pointwise", "sum")) and user.index not in seen:
                seen.add(user.index)
                landed = landing(graph, user, source, place)
                if landed is not None and landed[1] and len(user.shape) == rank:
                    pending.append((user.index, landed[0]))
    return False
