"""Repairs that fit an operand to another one's size, at whatever sizes they come: pad, crop, resample, repeat."""

from collections.abc import Iterator
from dataclasses import replace

from skipstone.checks.mending.operands import Operands
from skipstone.checks.rule import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, Transform, TransformKind
from skipstone.graphs.operations import words
from skipstone.surgery import site_of

_INTERPOLATED = words("interpolate upsample")
_EFFECTS: dict[TransformKind, tuple[str, str]] = {
    "pad-like": ("pad", "zeros fill the missing border"),
    "crop-like": ("crop", "the border that has no partner is cut off"),
    "interpolate-like": ("resample", "nearest neighbours, every size becomes legal"),
    "expand-like": ("repeat", "the pooled map is repeated over the other's size"),
}


def fitted(subject: Subject, met: Operands) -> Iterator[Proposal]:
    """The others fitted to the stream, then the stream to each of the others."""
    count = len(met.shapes)
    if len({len(shape) for shape in met.shapes}) != 1 or len({met.sizes(k) for k in range(count)}) == 1:
        return
    if met.node.op != "cat" and met.features is not None and len({shape[met.features] for shape in met.shapes}) > 1:
        return
    others = [k for k in range(count) if met.sizes(k) != met.sizes(met.stream)]
    for target in (met.stream, *others):
        for kind in _kinds(subject, met, target):
            yield _proposal(subject, met, target, kind)


def _kinds(subject: Subject, met: Operands, target: int) -> list[TransformKind]:
    """Which changes keep the meaning, likeliest first: a border of a map half as large is no border."""
    sizes = met.sizes(target)
    changed = [k for k in range(len(met.shapes)) if met.sizes(k) != sizes]
    others = [met.sizes(k) for k in changed]
    if any(all(size == 1 for size in other) for other in others):
        return ["expand-like"]
    if not met.are_close:
        return ["interpolate-like"]
    border = _border(sizes, others)
    # Maps of different inputs have no common corner to be aligned at; what was resampled is to be so to another size.
    resampled = met.fork < 0 or all(_was_resampled(subject, met, k) for k in changed)
    return ["interpolate-like", *border] if resampled else [*border, "interpolate-like"]


def _border(sizes: tuple[int, ...], others: list[tuple[int, ...]]) -> list[TransformKind]:
    """What a border would do: nothing where maps are wider along one axis and narrower along another."""
    pairs = [pair for other in others for pair in zip(sizes, other, strict=True)]
    if all(wanted >= size for wanted, size in pairs):
        return ["pad-like"]
    return ["crop-like"] if all(wanted <= size for wanted, size in pairs) else []


def _was_resampled(subject: Subject, met: Operands, operand: int) -> bool:
    """Has an operand got its size by interpolation?"""
    graph, index = subject.graph, met.node.inputs[operand]
    while graph[index].inputs and graph[index].kind == "op":
        if graph[index].op in _INTERPOLATED:
            return True
        source = graph[graph[index].inputs[0]].shape
        if len(source) != len(graph[index].shape) or any(source[a] != graph[index].shape[a] for a in met.spatial):
            return False
        index = graph[index].inputs[0]
    return False


def _proposal(subject: Subject, met: Operands, target: int, kind: TransformKind) -> Proposal:
    axes = tuple(axis for axis in met.spatial if len({shape[axis] for shape in met.shapes}) > 1)
    arguments = {"axes": axes} if axes != tuple(range(2, len(met.shapes[0]))) else {}
    site = replace(site_of(subject.graph, met.node.index), occurrence=None)
    changed = [k for k in range(len(met.shapes)) if met.sizes(k) != met.sizes(target)]
    edits = tuple(MapOperand(site, k, Transform(kind, like=target, arguments=arguments)) for k in changed)
    verb, effect = _EFFECTS[kind]
    names = " and ".join(met.name(k) for k in changed)
    return Proposal(f"{verb} {names} to the size of {met.name(target)}", edits, effect, keeps_output=True)
