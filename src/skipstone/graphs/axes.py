"""Where each axis of each tensor in a recorded pass comes from.

An axis keeps its origin while values stay in their order along it: through elementwise operations, convolutions and
pooling (which resample it), permutations and slices. Layers make axes (their output width); `unsqueeze`, `keepdim`, a
pool to one pixel and a written `1` in a view make axes of size 1 on purpose.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from skipstone.core.graph import Graph, Node
from skipstone.graphs.operations import operation

AxisKind = Literal["carried", "made", "new", "kept", "fixed", "unknown"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis's origin.

    `carried`: an axis of the input, perhaps resampled (`key` says which); `made`: a layer's width; `new`: inserted with
    size 1; `kept`: reduced to 1 on purpose; `fixed`: of a parameter, buffer or constant; `unknown`.
    `pooled` marks a carried axis that the window of a pool made 1.
    """

    kind: AxisKind
    key: tuple[object, ...] = ()
    pooled: bool = False

    def same(self, other: "Axis") -> bool:
        """Do both surely come from one axis of the input?"""
        return self.kind == other.kind == "carried" and self.key == other.key


Axes = tuple[Axis, ...]
Found = Sequence[Axes] | Mapping[int, Axes]  # the axes of a node's operands, by their index
UNKNOWN, NEW, KEPT, FIXED = Axis("unknown"), Axis("new"), Axis("kept"), Axis("fixed")
_WHOLE_WINDOW = 4  # a pool of at least this many positions that leaves one is taken for a global pool


def axes_of(graph: Graph) -> tuple[Axes, ...]:
    """The axes of every node, in the order of the nodes."""
    found: list[Axes] = []
    for node in graph:
        axes = _axes(graph, node, found)
        if len(axes) != len(node.shape):
            axes = (UNKNOWN,) * len(node.shape)
        found.append(axes)
    return tuple(found)


def _axes(graph: Graph, node: Node, found: Found) -> Axes:
    if node.kind == "input":
        return tuple(
            Axis("carried", (_of_batch(graph, node) if i == 0 else node.index, i)) for i in range(len(node.shape))
        )
    if node.kind != "op":
        return (FIXED,) * len(node.shape)
    if node.failure is not None or not node.inputs:
        return (FIXED if not node.inputs else UNKNOWN,) * len(node.shape)
    return _RULES[operation(node.op).axes](graph, node, found)


def _of_batch(graph: Graph, node: Node) -> int:
    """The input whose samples the first axis of an input counts: the first one, where both have as many."""
    first = graph[graph.inputs[0]]
    return first.index if first.shape[:1] == node.shape[:1] else node.index


def landing(graph: Graph, node: Node, operand: int, axis: int) -> tuple[int, bool] | None:
    """Where an axis of an operand lies in a node's result, and is it there alone? None where it is mixed or gone.

    An axis that a view or `flatten` has merged with others lies in the merged one, not alone.
    """
    labels = {i: (UNKNOWN,) * len(graph[i].shape) for i in node.inputs}
    labels[operand] = tuple(Axis("carried", (operand, k)) for k in range(len(graph[operand].shape)))
    wanted = (operand, axis)
    result = _axes(graph, node, labels)
    if len(result) != len(node.shape):
        return None
    for position, found in enumerate(result):
        if found.key == wanted:
            return position, True
        if found.key[:1] == ("merged",) and wanted in found.key:
            return position, False
    return None


def _dims(value: object, rank: int) -> list[int]:
    """One or several axis numbers, counted from the front."""
    numbers = value if isinstance(value, tuple | list) else (value,)
    return [int(d) % rank for d in numbers if isinstance(d, int) and rank]


def _number(node: Node, name: str, default: int) -> int:
    value = node.arguments.get(name, default)
    return value if isinstance(value, int) else default


def _elementwise(graph: Graph, node: Node, found: Found) -> Axes:
    """Aligned on the right; of operands that differ along an axis, the one with the result's size names it."""
    rank = len(node.shape)
    result = [UNKNOWN] * rank
    for i in node.inputs:
        shape, axes = graph[i].shape, found[i]
        if len(shape) > rank:
            continue
        for position, (size, axis) in enumerate(zip(shape, axes, strict=True), start=rank - len(shape)):
            if size == node.shape[position] and _strength(axis) > _strength(result[position]):
                result[position] = axis
    return tuple(result)


def _strength(axis: Axis) -> int:
    return ("unknown", "fixed", "new", "kept", "made", "carried").index(axis.kind)


def _like_first(graph: Graph, node: Node, found: Found) -> Axes:
    return found[node.inputs[0]]


def _conv(graph: Graph, node: Node, found: Found) -> Axes:
    source, shape = list(found[node.inputs[0]]), graph[node.inputs[0]].shape
    spatial = int(node.op[-2])
    channel = len(source) - spatial - 1
    if channel < 0 or len(node.shape) != len(source):
        return (UNKNOWN,) * len(node.shape)
    if not shape[channel] == node.shape[channel] == 1:
        source[channel] = Axis("made", (node.index,))
    return tuple(source)


def _linear(graph: Graph, node: Node, found: Found) -> Axes:
    source, shape = found[node.inputs[0]], graph[node.inputs[0]].shape
    if shape and node.shape and shape[-1] == node.shape[-1] == 1:
        return source
    return (*source[:-1], Axis("made", (node.index,)))


def _pool(graph: Graph, node: Node, found: Found) -> Axes:
    source, shape = list(found[node.inputs[0]]), graph[node.inputs[0]].shape
    spatial = int(node.op[-2])
    if len(source) != len(node.shape) or len(source) < spatial:
        return (UNKNOWN,) * len(node.shape)
    adaptive = node.op.startswith("adaptive")
    windows = node.argument("kernel_size", 1)
    for i in range(spatial):
        at = len(source) - spatial + i
        if adaptive:
            source[at] = KEPT if node.shape[at] == 1 else Axis("made", (node.index, at))
            continue
        window = windows[i] if isinstance(windows, tuple | list) and len(windows) == spatial else windows
        window = window[0] if isinstance(window, tuple | list) else window
        if node.shape[at] == 1 < shape[at] and isinstance(window, int) and window >= _WHOLE_WINDOW:
            source[at] = KEPT if window >= shape[at] else Axis(source[at].kind, source[at].key, pooled=True)
    return tuple(source)


def _reduce(graph: Graph, node: Node, found: Found) -> Axes:
    source = found[node.inputs[0]]
    if len(node.inputs) > 1:  # max(a, b), elementwise
        return _elementwise(graph, node, found)
    value = node.argument("dim", node.argument("axis", node.argument("arg1")))
    dims = _dims(value, len(source)) if value is not None else list(range(len(source)))
    if len(node.shape) == len(source):
        return tuple(KEPT if i in dims else axis for i, axis in enumerate(source))
    return tuple(axis for i, axis in enumerate(source) if i not in dims)


def _permute(graph: Graph, node: Node, found: Found) -> Axes:
    source = found[node.inputs[0]]
    order = _dims(node.argument("dims", node.argument("arg1", ())), len(source))
    return tuple(source[i] for i in order)


def _transpose(graph: Graph, node: Node, found: Found) -> Axes:
    source = list(found[node.inputs[0]])
    if len(source) < 2:
        return tuple(source)
    named = node.op == "transpose"
    a, b = (_number(node, "dim0", -2), _number(node, "dim1", -1)) if named else (-2, -1)
    source[a], source[b] = source[b], source[a]
    return tuple(source)


def _movedim(graph: Graph, node: Node, found: Found) -> Axes:
    source = found[node.inputs[0]]
    before, after = (_dims(node.argument(name), len(source)) for name in ("source", "destination"))
    if not before or len(before) != len(after):
        return (UNKNOWN,) * len(node.shape)
    kept = iter(axis for i, axis in enumerate(source) if i not in before)
    moved = dict(zip(after, before, strict=True))
    return tuple(source[moved[i]] if i in moved else next(kept) for i in range(len(source)))


def _unsqueeze(graph: Graph, node: Node, found: Found) -> Axes:
    source = list(found[node.inputs[0]])
    dims = _dims(node.argument("dim", 0), len(source) + 1)
    source.insert(dims[0] if dims else 0, NEW)
    return tuple(source)


def _squeeze(graph: Graph, node: Node, found: Found) -> Axes:
    source, shape = found[node.inputs[0]], graph[node.inputs[0]].shape
    value = node.arguments.get("dim")
    dims = range(len(source)) if value is None else _dims(value, len(source))
    return tuple(axis for i, (axis, size) in enumerate(zip(source, shape, strict=True)) if i not in dims or size != 1)


def _view(graph: Graph, node: Node, found: Found) -> Axes:
    """Match runs of axes with equal products; an axis on its own keeps its origin, merged ones share one."""
    axes, before, after = found[node.inputs[0]], graph[node.inputs[0]].shape, node.shape
    result: list[Axis] = []
    i = 0
    while len(result) < len(after):
        j = len(result)
        if i < len(before) and before[i] == after[j]:
            result.append(axes[i])
            i += 1
        elif after[j] == 1:
            result.append(NEW)
        elif i < len(before) and before[i] == 1:
            i += 1
        else:
            a, b = i + 1, j + 1
            while prod(before[i:a]) != prod(after[j:b]) and (a < len(before) or b < len(after)):
                if (prod(before[i:a]) < prod(after[j:b]) and a < len(before)) or b == len(after):
                    a += 1
                else:
                    b += 1
            result += _regrouped(axes[i:a], b - j, node)
            i = a
    return tuple(result)


def _regrouped(axes: Axes, count: int, node: Node) -> list[Axis]:
    if not all(axis.kind == "carried" for axis in axes) or not axes:
        return [UNKNOWN] * count
    key = tuple(axis.key for axis in axes)
    return [Axis("carried", ("merged", *key))] if count == 1 else [UNKNOWN] * count


def _slices(graph: Graph, node: Node, found: Found) -> Axes:
    """`x[...]` with numbers, slices, None and an ellipsis; anything else is not followed."""
    source, shape = found[node.inputs[0]], graph[node.inputs[0]].shape
    index = node.arguments.get("index")
    items = list(index) if isinstance(index, tuple) else [index]
    if not all(item is None or item is Ellipsis or isinstance(item, int | slice) for item in items):
        return (UNKNOWN,) * len(node.shape)
    taken = sum(isinstance(item, int | slice) and not isinstance(item, bool) for item in items)
    if Ellipsis not in items:
        items.append(Ellipsis)
    result: list[Axis] = []
    at = 0
    for item in items:
        if item is None:
            result.append(NEW)
        elif item is Ellipsis:
            rest = len(source) - taken
            result += source[at : at + rest]
            at += rest
        elif at >= len(source):
            return (UNKNOWN,) * len(node.shape)
        else:
            if isinstance(item, slice):
                after = node.shape[len(result)] if len(result) < len(node.shape) else 0
                result.append(KEPT if after == 1 < shape[at] and item.step in (None, 1) else source[at])
            at += 1
    return tuple(result)


def _parts(graph: Graph, node: Node, found: Found) -> Axes:
    """chunk, split, narrow: one axis is cut; cut to 1 it is meant to be 1."""
    source, shape = found[node.inputs[0]], graph[node.inputs[0]].shape
    if len(source) != len(node.shape):
        return (UNKNOWN,) * len(node.shape)
    return tuple(
        KEPT if after == 1 < before else axis for axis, before, after in zip(source, shape, node.shape, strict=True)
    )


def _select(graph: Graph, node: Node, found: Found) -> Axes:
    source = found[node.inputs[0]]
    dims = _dims(node.argument("dim", 0), len(source))
    return tuple(axis for i, axis in enumerate(source) if i not in dims)


def _cat(graph: Graph, node: Node, found: Found) -> Axes:
    rank = len(node.shape)
    dims = _dims(node.argument("dim", node.argument("axis", 0)), rank)
    at = dims[0] if dims else 0
    operands = [found[i] for i in node.inputs if len(found[i]) == rank]
    best = [max((axes[k] for axes in operands), key=_strength, default=UNKNOWN) for k in range(rank)]
    best[at] = Axis("made", (node.index,)) if len(operands) > 1 else best[at]
    return tuple(best)


def _stack(graph: Graph, node: Node, found: Found) -> Axes:
    dims = _dims(node.argument("dim", 0), len(node.shape))
    source = list(found[node.inputs[0]])
    source.insert(dims[0] if dims else 0, Axis("made", (node.index,)))
    return tuple(source)


def _expand(graph: Graph, node: Node, found: Found) -> Axes:
    source, shape = found[node.inputs[0]], graph[node.inputs[0]].shape
    added = len(node.shape) - len(source)
    same = [
        axis if size == node.shape[added + i] else Axis("made", (node.index, i))
        for i, (axis, size) in enumerate(zip(source, shape, strict=True))
    ]
    return (NEW,) * added + tuple(same)


def _matmul(graph: Graph, node: Node, found: Found) -> Axes:
    left, right = found[node.inputs[0]], found[node.inputs[-1]]
    if len(left) < 2 or len(right) < 2 or len(node.shape) != max(len(left), len(right)):
        return (UNKNOWN,) * len(node.shape)
    longer = left if len(left) >= len(right) else right
    last = right[-1] if right[-1].kind == "carried" else Axis("made", (node.index,))
    return (*longer[:-2], left[-2], last)


def _einsum(graph: Graph, node: Node, found: Found) -> Axes:
    """Each letter is an axis of the operand that has it; of several the one that says most names it."""
    terms, result = einsum_letters(node)
    if len(terms) != len(node.inputs) or len(result) != len(node.shape):
        return (UNKNOWN,) * len(node.shape)
    best: dict[str, Axis] = {}
    for term, index in zip(terms, node.inputs, strict=True):
        if len(term) != len(found[index]):
            return (UNKNOWN,) * len(node.shape)
        for letter, axis in zip(term, found[index], strict=True):
            best[letter] = max(axis, best.get(letter, UNKNOWN), key=_strength)
    return tuple(best.get(letter, UNKNOWN) for letter in result)


def einsum_letters(node: Node) -> tuple[list[str], str]:
    """The operands' letters and the result's, axis by axis; none where the equation is not written out."""
    equation = next((value for value in node.arguments.values() if isinstance(value, str)), "")
    terms, arrow, result = equation.replace(" ", "").partition("->")
    return (terms.split(","), result) if arrow and "." not in equation else ([], "")


def _attention(graph: Graph, node: Node, found: Found) -> Axes:
    source = found[node.inputs[0]]
    if node.output or len(source) != len(node.shape):
        return (UNKNOWN,) * len(node.shape)
    return (*source[:-1], Axis("made", (node.index,)))


def _embedding(graph: Graph, node: Node, found: Found) -> Axes:
    return (*found[node.inputs[0]], Axis("made", (node.index,)))


def _shuffle(graph: Graph, node: Node, found: Found) -> Axes:
    source = list(found[node.inputs[0]])
    if len(source) >= 3:
        source[-3] = Axis("made", (node.index,))
    return tuple(source)


def _unknown(graph: Graph, node: Node, found: Found) -> Axes:
    return (UNKNOWN,) * len(node.shape)


_RULES: Mapping[str, Callable[[Graph, Node, Found], Axes]] = {
    "": _elementwise,
    "first": _like_first,
    "unknown": _unknown,
    "conv": _conv,
    "linear": _linear,
    "pool": _pool,
    "reduce": _reduce,
    "permute": _permute,
    "transpose": _transpose,
    "movedim": _movedim,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "view": _view,
    "slices": _slices,
    "parts": _parts,
    "select": _select,
    "cat": _cat,
    "stack": _stack,
    "expand": _expand,
    "matmul": _matmul,
    "attention": _attention,
    "einsum": _einsum,
    "embedding": _embedding,
    "shuffle": _shuffle,
}
