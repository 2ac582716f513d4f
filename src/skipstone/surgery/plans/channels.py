"""What the layers that read a concatenation must give up or gain: its channels followed to the next layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from torch import nn

from skipstone.core.edit import AtInit, Edit, NarrowInput, WidenInput
from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import has_role, names
from skipstone.graphs.roles import CONV, NORM
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live import modules, widths

# One value in, one value out, whatever the axis.
_POINTWISE = names("pointwise")
_SPATIAL = names("spatial")
Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """Along `axis`, which of a tensor's positions are left, as ranges [start, stop)."""

    axis: int
    ranges: Ranges

    @property
    def size(self) -> int:
        return sum(stop - start for start, stop in self.ranges)


def narrowed(graph: Graph, model: nn.Module, gone: Mapping[int, tuple[int, ...]]) -> Iterator[Edit]:
    """The edits that let every reader take what is left of concatenations.

    `gone` maps a merge's node to the operands (by position) that it loses; those of sums need not fit any more.

    Raises:
        SurgeryError: a reader that cannot be narrowed.
    """
    kept: dict[int, Kept] = {}
    done: set[str] = set()
    for node in graph:
        if node.kind != "op" or node.output > 0 or not (node.index in gone or any(i in kept for i in node.inputs)):
            continue
        if node.op in ("cat", "hstack") or (node.index in gone and has_role(node, "join")):
            kept[node.index] = _of_cat(graph, node, gone.get(node.index, ()), kept)
        elif node.index in gone and (left := _left_of_sum(graph, node, gone[node.index])) is not None:
            if left in kept:
                kept[node.index] = kept[left]
        elif (edit := _of_layer(graph, model, node, kept)) is not None:
            if edit.module not in done:
                done.add(edit.module)
                yield edit
            if node.op in NORM:
                kept[node.index] = kept[node.inputs[0]]
        else:
            if _reads_what_stays(graph, node, kept):
                continue
            passed = _passed(graph, node, kept)
            if passed is None:
                raise SurgeryError(
                    f"{node.op} in {node.module or 'forward'} ({node.place}) reads the concatenation and cannot be "
                    'made narrower; use cat="zero", which keeps the sizes'
                )
            kept[node.index] = passed


def _left_of_sum(graph: Graph, node: Node, gone: tuple[int, ...]) -> int | None:
    """The one term that a sum is left with, where that is of the sum's own shape."""
    left = [i for position, i in enumerate(node.inputs) if position not in gone]
    return left[0] if len(left) == 1 and graph[left[0]].shape == node.shape else None


def concatenated_axis(node: Node) -> int:
    """The axis along which a concatenation joins its operands, from 0."""
    dim = node.argument("dim", node.argument("axis", 1 if node.op == "hstack" and len(node.shape) > 1 else 0))
    return int(dim) % len(node.shape)  # type: ignore[call-overload, no-any-return]


def _of_cat(graph: Graph, node: Node, gone: tuple[int, ...], kept: Mapping[int, Kept]) -> Kept:
    axis = concatenated_axis(node)
    ranges: list[tuple[int, int]] = []
    start = 0
    for position, index in enumerate(node.inputs):
        size = graph[index].shape[axis]
        inner = kept.get(index)
        if inner is not None and inner.axis != axis:
            raise SurgeryError(f"{node.place}: one concatenation along two axes is not followed; use cat='zero'")
        if position not in gone:
            for a, b in inner.ranges if inner is not None else ((0, size),):
                ranges = _joined(ranges, (start + a, start + b))
        start += size
    return Kept(axis, tuple(ranges))


def _joined(ranges: list[tuple[int, int]], new: tuple[int, int]) -> list[tuple[int, int]]:
    if ranges and ranges[-1][1] == new[0]:
        return [*ranges[:-1], (ranges[-1][0], new[1])]
    return [*ranges, new]


def _of_layer(graph: Graph, model: nn.Module, node: Node, kept: Mapping[int, Kept]) -> NarrowInput | None:
    """The edit of a layer that reads the narrowed axis; None where the node is no such layer."""
    if node.op not in CONV | NORM | {"linear"} or node.inputs[0] not in kept:
        return None
    before = kept[node.inputs[0]]
    module = modules.find(model, node.module)
    axis = len(graph[node.inputs[0]].shape) - 1 if node.op in ("linear", "layer_norm") else 1
    if before.axis != axis or widths.input_channels(module) != graph[node.inputs[0]].shape[axis]:
        return None
    if any(bound % widths.channels_at_a_time(module) for kept_range in before.ranges for bound in kept_range):
        return None
    return NarrowInput(node.module, before.ranges)


def _passed(graph: Graph, node: Node, kept: Mapping[int, Kept]) -> Kept | None:
    """What is left behind an operation that keeps positions apart; None where it may not."""
    touched = [i for i in node.inputs if i in kept]
    before = kept[touched[0]]
    source = graph[touched[0]].shape
    others = [i for i in node.inputs if i not in kept and graph[i].kind == "op"]
    if any(kept[i] != before for i in touched) or any(len(graph[i].shape) > before.axis for i in others):
        return None
    if node.op in _POINTWISE or (has_role(node, "arithmetic") and node.shape == source):
        return before
    if node.op in _SPATIAL and before.axis < 2 and node.shape[:2] == source[:2]:
        return before
    if node.op in ("mean", "sum", "amax"):
        return _reduced(node, source, before)
    if node.op == "getitem":
        return _sliced(node, len(source), before)
    if node.op in ("transpose", "permute"):
        return Kept(_order(node, len(source)).index(before.axis), before.ranges)
    if node.op in ("flatten", "view", "reshape", "squeeze") and node.shape[: before.axis] == source[: before.axis]:
        return _flattened(node, source, before)
    return None


def _reads_what_stays(graph: Graph, node: Node, kept: Mapping[int, Kept]) -> bool:
    """Is it `x[:, :n]` of the first n positions, which all stay? Then nothing changes for it."""
    if node.op != "getitem" or node.inputs[0] not in kept:
        return False
    before = kept[node.inputs[0]]
    items = _items(node, len(graph[node.inputs[0]].shape))
    item = next((item for item, axis in items or () if axis == before.axis), None)
    if not isinstance(item, slice) or item.step not in (None, 1) or not isinstance(item.stop, int):
        return False
    first, stop = before.ranges[0] if before.ranges else (0, 0)
    return first == 0 and 0 <= (item.start or 0) <= item.stop <= stop


def _sliced(node: Node, rank: int, before: Kept) -> Kept | None:
    """Of `x[...]` that takes all of the axis: where the axis is afterwards."""
    items = _items(node, rank)
    if items is None or any(axis == before.axis and item != slice(None) for item, axis in items):
        return None
    left = [axis for item, axis in items if not isinstance(item, int)]
    return Kept(left.index(before.axis), before.ranges)


def _items(node: Node, rank: int) -> list[tuple[object, int | None]] | None:
    """The parts of an index, each with its axis (None for a new one); None where a tensor is among them."""
    index = node.arguments.get("index")
    parts = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(part, bool) or not (part is None or part is Ellipsis or isinstance(part, int | slice))
           for part in parts):  # fmt: skip
        return None
    taken = sum(isinstance(part, int | slice) for part in parts)
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    at = parts.index(Ellipsis)
    parts[at : at + 1] = [slice(None)] * (rank - taken)
    axes = iter(range(rank))
    return [(part, None if part is None else next(axes)) for part in parts]


def _reduced(node: Node, source: tuple[int, ...], before: Kept) -> Kept | None:
    given = node.argument("dim")
    if given is None:
        return None
    axes = {int(d) % len(source) for d in (given if isinstance(given, tuple | list) else (given,))}
    if before.axis in axes:
        return None
    gone = 0 if len(node.shape) == len(source) else sum(axis < before.axis for axis in axes)
    return Kept(before.axis - gone, before.ranges)


def _order(node: Node, rank: int) -> list[int]:
    """For each axis of the result, the axis of the source that it is."""
    if node.op == "permute":
        return [int(d) % rank for d in node.arguments["dims"]]  # type: ignore[attr-defined]
    order = list(range(rank))
    a, b = (int(node.arguments[name]) % rank for name in ("dim0", "dim1"))  # type: ignore[call-overload]
    order[a], order[b] = b, a
    return order


def _flattened(node: Node, source: tuple[int, ...], before: Kept) -> Kept | None:
    """The axis and those behind it made one: each position becomes as many as lie behind it."""
    if len(node.shape) != before.axis + 1:
        return before if node.shape[: before.axis + 1] == source[: before.axis + 1] else None
    inner = prod(source[before.axis + 1 :])
    if node.op in ("view", "reshape") and -1 not in tuple(node.arguments.get("shape", ())):  # type: ignore[arg-type]
        return None
    return Kept(before.axis, tuple((a * inner, b * inner) for a, b in before.ranges))


def widened(graph: Graph, model: nn.Module, index: int, count: int, axis: int, at_init: AtInit) -> Iterator[WidenInput]:
    """The edits that let every reader of a node take `count` further channels along `axis`, which stand behind its own.

    Raises:
        SurgeryError: a reader that cannot be widened.
    """
    width = graph[index].shape[axis]
    wide: dict[int, Kept] = {index: Kept(axis, ((0, width),))}  # what was there before
    more = {index: count}
    done: set[str] = set()
    for node in graph:
        reads = node.kind == "op" and node.output == 0 and node.index != index and any(i in wide for i in node.inputs)
        if not reads or _reads_what_stays(graph, node, wide):
            continue
        first = node.inputs[0]
        layer = _of_layer(graph, model, node, wide)
        passed = wide[first] if layer is not None and node.op in NORM else None
        if layer is None and node.op != "cat":
            passed = _passed(graph, node, wide)
        source = next(i for i in node.inputs if i in wide)
        together = 1 if layer is None else widths.channels_at_a_time(modules.find(model, layer.module))
        if (layer is None and passed is None) or more[source] % together:
            raise SurgeryError(
                f"{node.op} in {node.module or 'forward'} ({node.place}) reads the concatenation and cannot be made "
                "wider; end the skip where a convolution, linear layer or norm reads it, or merge by add"
            )
        if passed is not None:
            wide[node.index] = passed
            more[node.index] = more[source] * passed.size // wide[source].size
        if layer is not None and layer.module not in done:
            done.add(layer.module)
            yield WidenInput(layer.module, more[source], at_init)
    if any(i in wide for i in graph.outputs):
        raise SurgeryError("the concatenation would reach the model's output and change its shape; merge by add")
