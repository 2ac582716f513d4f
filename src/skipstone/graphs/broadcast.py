"""Which broadcasts nobody meant: judged by where the operands' axes come from, not by their sizes alone.

Meant are gates, masks, parameters, buffers, maps pooled to one pixel, kept or inserted axes, and one-channel layers.
Not meant are these:

* two tensors made from one axis of the input along which they have different sizes, one of them 1;
* the raw one-channel input added to what a layer made of it: every channel gets the same signal;
* operands of different rank, where aligning them on the right lets an axis meet another one although both have it
  (a batch axis meets the channels after a sum without `keepdim`), whatever the sizes are; but for distances of all
  pairs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from skipstone.core.graph import Graph, Node
from skipstone.graphs.axes import Axes, axes_of
from skipstone.graphs.operations import has_role, names
from skipstone.graphs.roles import SHAPE_ONLY, SQUASH
from skipstone.graphs.walks import back, readers

ARITHMETIC = names("arithmetic")
_NONE: frozenset[int] = frozenset()


def accidental_broadcasts(graph: Graph) -> tuple[int, ...]:
    """The nodes where two tensors that depend on the model's input meet by a broadcast that was not meant.

    What comes after a failure is not judged. A batch of one is judged like any other: a rank that differs shows there
    too.
    """
    axes = axes_of(graph)
    values = value_inputs(graph)
    return tuple(node.index for node in graph if is_accidental(graph, node, axes, values))


def value_inputs(graph: Graph) -> tuple[frozenset[int], ...]:
    """For each node, the model's inputs whose values reach it."""
    reached: list[frozenset[int]] = []
    for node in graph:
        if node.kind == "input":
            reached.append(frozenset((node.index,)))
        elif not node.inputs or node.op in SHAPE_ONLY:
            reached.append(_NONE)
        else:
            reached.append(_NONE.union(*[reached[i] for i in node.inputs]))
    return tuple(reached)


def merge_operands(graph: Graph, node: Node) -> tuple[int, int] | None:
    """The two tensors an arithmetic operation brings together, None where it does not."""
    if node.kind != "op" or node.op not in ARITHMETIC or node.failure is not None or node.tainted:
        return None
    return (node.inputs[0], node.inputs[1]) if len(node.inputs) == 2 else None


@dataclass(frozen=True, slots=True)
class Suspect:
    """Where the size of `small` along one axis (the same `position` in both) is 1 and that of `large` is not, the
    broadcast was not meant."""

    small: int
    large: int
    position: int


def suspects(
    graph: Graph, node: Node, axes: Sequence[Axes], values: Sequence[frozenset[int]]
) -> tuple[Suspect, ...] | None:
    """The axes at which a merge goes wrong where sizes of 1 meet others; None where it goes wrong at every size."""
    operands = merge_operands(graph, node)
    if operands is None:
        return ()
    both = (operands, operands[::-1])
    found = [suspect for small, large in both for suspect in _resampled_apart(graph, node, small, large, axes)]
    if not all(values[i] for i in operands):
        return tuple(found)
    misaligned = any(_misaligned(axes[small], axes[large]) for small, large in both)
    raw = [suspect for small, large in both for suspect in _raw_inputs(node, small, large, axes, values)]
    if (misaligned or raw) and not _of_pairs(graph, node, axes):
        return None if misaligned else (*found, *raw)
    return tuple(found)


def is_accidental(graph: Graph, node: Node, axes: Sequence[Axes], values: Sequence[frozenset[int]]) -> bool:
    """See `accidental_broadcasts`; `axes` and `values` are those of the whole graph."""
    found = suspects(graph, node, axes, values)
    return found is None or any(
        graph[s.small].shape[s.position] == 1 != graph[s.large].shape[s.position] for s in found
    )


def _of_pairs(graph: Graph, node: Node, axes: Sequence[Axes]) -> bool:
    """Is it a term for each pair of samples, met by a product of all pairs: |x|^2 + |y|^2 - 2 x y, the distances?"""
    for reader in readers(graph, node.index):
        if has_role(reader, "sum") and len(reader.inputs) == 2:
            other = reader.inputs[0] if reader.inputs[1] == node.index else reader.inputs[1]
            made = graph[back(graph, other, lambda step: has_role(step, "scale"))]
            found = axes[made.index]
            if has_role(made, "product") and len(found) > 1 and found[-1].same(found[-2]):
                return True
    return False


def _resampled_apart(graph: Graph, node: Node, small: int, large: int, axes: Sequence[Axes]) -> Iterator[Suspect]:
    """Axes of the input that both have, which may be 1 in `small` alone. Zeros of the input's sizes count as well."""
    if len(axes[small]) != len(axes[large]) or is_pooled_gate(graph, node, small, axes):
        return
    for position, (axis, other) in enumerate(zip(axes[small], axes[large], strict=True)):
        if axis.same(other):
            yield Suspect(small, large, position)


def _raw_inputs(
    node: Node, small: int, large: int, axes: Sequence[Axes], values: Sequence[frozenset[int]]
) -> Iterator[Suspect]:
    """Axes along which a raw input, with one channel, is added to what a layer made of it."""
    if len(axes[large]) != len(axes[small]) or not has_role(node, "sum"):
        return
    for position, (origin, other) in enumerate(zip(axes[small], axes[large], strict=True)):
        raw = origin.kind == "carried" and other.kind == "made" and origin.key[0] in values[large]
        if raw and _same_elsewhere(axes[small], axes[large], position):
            yield Suspect(small, large, position)


def _misaligned(small: Axes, large: Axes) -> bool:
    """Do the ranks differ, and does an axis that both have meet one that is neither it nor inserted to meet it?"""
    shift = len(large) - len(small)
    for position, axis in enumerate(small if shift > 0 else ()):
        aligned = large[position + shift]
        lost = axis.kind == "carried" and not axis.same(aligned) and aligned.kind not in ("new", "unknown")
        if lost and any(axis.same(elsewhere) for elsewhere in large):
            return True
    return False


def _same_elsewhere(small: Axes, large: Axes, position: int) -> bool:
    return all(a.same(b) for i, (a, b) in enumerate(zip(small, large, strict=True)) if i != position)


def is_pooled_gate(graph: Graph, node: Node, operand: int, axes: Sequence[Axes]) -> bool:
    """Does `node` multiply with a squashed map that a pool made one pixel, as squeeze-and-excitation does?"""
    return node.op == "mul" and is_gate(graph, operand) and any(a.pooled or a.kind == "kept" for a in axes[operand])


def is_gate(graph: Graph, index: int) -> bool:
    """Was the tensor squashed (sigmoid, softmax, ...), and since then only viewed, cut or resized?"""
    return graph[back(graph, index, lambda node: not has_role(node, "squash") and _hands_on(node))].op in SQUASH


def _hands_on(node: Node) -> bool:
    return has_role(node, "transparent") or node.op in ("getitem", "interpolate")
