"""A network drawn with its skips as arcs: our own SVG, since layers are ordered already.

Two drawings of the same `Drawing`: `listing_svg` has a line of text a layer and arcs in the left margin; `strip_svg`
sets the layers side by side, small, with the arcs above, so that networks can be compared at a glance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from skipstone.core.drawing import Arc, Drawing, RowKind, condense, lanes
from skipstone.core.graph import shape_text
from skipstone.report.templates import render

STRIP_KINDS: tuple[RowKind, ...] = ("input", "conv", "linear", "pool", "merge")
_LEGEND = {
    "input": "input", "conv": "convolution", "linear": "linear, attention", "norm": "normalisation",
    "activation": "activation", "pool": "pooling", "merge": "merge", "other": "other",
}  # fmt: skip

# Lengths in SVG user units, which are CSS pixels at natural size.
_ROW = 19
_CHARACTER = 7.3
_TITLE_CHARACTER = 7.7
_STEP = 9
_MARK = 6
_ARC_ASPECT = 0.42
_MAX_BULGE = 150


@dataclass(frozen=True, slots=True)
class _Path:
    """A drawn arc: its SVG path, the class that colours it, its tooltip."""

    d: str
    kind: str
    tip: str


@dataclass(frozen=True, slots=True)
class _Mark:
    """A drawn layer: where its top left corner is, the class that colours it, its tooltip."""

    x: float
    y: float
    kind: str
    tip: str


def listing_svg(drawing: Drawing, *, standalone: bool = True) -> str:
    """A line a layer: name, class, output shape, parameters; arcs at the left.

    A standalone drawing carries its own colours, for light and dark; an inline one takes those of the page.
    """
    bulges = _bulges(drawing.arcs)
    left = max(bulges, default=0.0) * 0.75 + 24
    columns = [
        [row.name for row in drawing.rows],
        [row.what for row in drawing.rows],
        [shape_text(row.shape) for row in drawing.rows],
        [f"{row.num_parameters:,}" if row.num_parameters else "" for row in drawing.rows],
    ]
    widths = [max(map(len, column), default=0) * _CHARACTER + 18 for column in columns]
    starts = [left + 14 + sum(widths[:i]) for i in range(4)]
    top = 44.0
    lines = [
        {"y": top + i * _ROW, "kind": row.kind, "texts": [column[i] for column in columns]}
        for i, row in enumerate(drawing.rows)
    ]
    paths = [
        _side_arc(left, top + arc.source * _ROW, top + arc.target * _ROW, bulge, arc, drawing)
        for arc, bulge in zip(drawing.arcs, bulges, strict=True)
    ]
    label = describe(drawing)
    return render(
        "listing.svg.jinja", standalone=standalone,
        width=round(max(starts[3] + widths[3] + 12, starts[0] + len(label) * _TITLE_CHARACTER)),
        height=round(top + len(drawing.rows) * _ROW + 8), left=left, starts=starts, ends=starts[3] + widths[3] - 14,
        lines=lines, paths=paths, label=label,
    )  # fmt: skip


def strip_svg(drawing: Drawing, *, standalone: bool = False, caption: bool = False) -> str:
    """The layers with weights, pools and merges side by side, arcs above, in one strip."""
    small = condense(drawing, STRIP_KINDS)
    spans = [arc.target - arc.source for arc in small.arcs]
    above = max((_height(span) for span in spans), default=0.0)
    top = above + (26 if caption else 6)
    marks = [
        _Mark(6 + i * _STEP, top, row.kind, f"{row.name}: {row.what}, output {shape_text(row.shape)}")
        for i, row in enumerate(small.rows)
    ]
    paths = []
    for arc in small.arcs:
        start, end = (6 + i * _STEP + _MARK / 2 for i in (arc.source, arc.target))
        rise = _height(arc.target - arc.source) / 0.75
        d = f"M{start:g} {top - 1:g}C{start:g} {top - 1 - rise:.1f} {end:g} {top - 1 - rise:.1f} {end:g} {top - 1:g}"
        paths.append(_Path(d, arc.kind, _tip(arc, small)))
    label = describe(drawing)
    room = 12 + len(label) * _TITLE_CHARACTER if caption else 0
    return render(
        "strip.svg.jinja", standalone=standalone, caption=caption, mark=_MARK, marks=marks, paths=paths,
        width=round(max(strip_width(drawing), room)), height=round(top + _MARK + 6), label=label,
    )  # fmt: skip


def strip_width(drawing: Drawing) -> int:
    """How wide `strip_svg` draws it, in pixels."""
    return 12 + len(condense(drawing, STRIP_KINDS).rows) * _STEP


def describe(drawing: Drawing) -> str:
    """The drawing in a sentence, for those who can't see it."""
    kinds = [f"{arc.kind} {arc.merge}" for arc in drawing.arcs]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "no skips"
    layers = sum(row.kind in ("conv", "linear") for row in drawing.rows)
    return f"{drawing.title or 'network'}: {layers} layers with weights, {counts}"


def legend(drawings: Sequence[Drawing]) -> list[tuple[str, str]]:
    """Class and name of every kind of row in these strips, in a fixed order."""
    found = {row.kind for drawing in drawings for row in condense(drawing, STRIP_KINDS).rows}
    return [(kind, name) for kind, name in _LEGEND.items() if kind in found]


def _height(span: int) -> float:
    return min(_MAX_BULGE, 3 + span * _STEP * _ARC_ASPECT)


def _bulges(arcs: Sequence[Arc]) -> list[float]:
    return [min(_MAX_BULGE, 26 + 13 * lane) * 1.0 for lane in lanes(arcs)]


def _side_arc(x: float, start: float, end: float, bulge: float, arc: Arc, drawing: Drawing) -> _Path:
    return _Path(f"M{x:g} {start:g}C{x - bulge:g} {start:g} {x - bulge:g} {end:g} {x:g} {end:g}", arc.kind,
                 _tip(arc, drawing))  # fmt: skip


def _tip(arc: Arc, drawing: Drawing) -> str:
    layers = f"{arc.span} layer{'' if arc.span == 1 else 's'}"
    source, target = drawing.rows[arc.source].name, drawing.rows[arc.target].name
    return f"{arc.kind} skip, {arc.merge}: {source} to {target}, over {layers}"
