"""A comparison in one picture, for a README: the networks with their skips, and the accuracies measured."""

from dataclasses import dataclass
from pathlib import Path

from skipstone.core.drawing import Drawing
from skipstone.report import words
from skipstone.report.arcs import strip_svg, strip_width
from skipstone.report.page import Records, read_records
from skipstone.report.templates import render

_TOP, _ROW, _LEFT, _COLUMN = 98, 74, 96, 138
_STRIP_WIDTH = 400


@dataclass(frozen=True, slots=True)
class _Line:
    """A family: its name, the strip of its shallowest network, its test accuracies at each depth."""

    family: str
    y: int
    strip: str
    accuracies: tuple[str, ...]


def write_picture(folder: str | Path, path: str | Path, *, title: str) -> Path:
    """Write the picture of the comparison kept in `folder` as an SVG file that reads well on light and dark pages.

    Raises:
        RecordError: the folder holds no comparison, or a file in it is not what skipstone writes.
    """
    target = Path(path)
    target.write_text(picture(read_records(folder), title=title), encoding="utf-8")
    return target


def picture(records: Records, *, title: str) -> str:
    """A row a family: its shallowest network drawn, its mean test accuracy at every depth with its spread."""
    comparison = records.comparison
    depths = sorted({group.depth for group in comparison.groups if group.depth is not None})
    families = dict.fromkeys(group.family for group in comparison.groups)
    members = {f: {g.depth: g for g in comparison.groups if g.family == f} for f in families}
    drawings = {f: next((d for g in members[f].values() if (d := _drawing(records, g.label))), None) for f in families}
    widest = max((strip_width(drawing) for drawing in drawings.values() if drawing), default=1)
    lines = []
    for i, family in enumerate(families):
        y = _TOP + i * _ROW
        found = tuple(words.spread(members[family][d].test_accuracy) if d in members[family] else "" for d in depths)
        lines.append(_Line(family, y, _strip(drawings[family], y, _STRIP_WIDTH / widest), found))
    seeds = max((group.test_accuracy.n for group in comparison.groups), default=0)
    note = f"Test accuracy on {comparison.data}: mean ± standard deviation of {seeds} seeds, {comparison.epochs} epochs"
    return render(
        "picture.svg.jinja", title=title, lines=lines, columns=[f"depth {depth}" for depth in depths],
        note=note,
        left=_LEFT, first=_LEFT + _STRIP_WIDTH + 24 + _COLUMN, step=_COLUMN, top=_TOP,
        width=_LEFT + _STRIP_WIDTH + 40 + _COLUMN * len(depths), height=_TOP + _ROW * len(lines) - 36,
    )  # fmt: skip


def _drawing(records: Records, label: str) -> Drawing | None:
    network = records.networks.get(label)
    return network.drawing if network else None


def _strip(drawing: Drawing | None, y: int, scale: float) -> str:
    """The strip as a picture within the picture, its layers level with the family's name."""
    if drawing is None:
        return ""
    inner = strip_svg(drawing)
    width, height = (float(inner.partition(f' {side}="')[2].partition('"')[0]) for side in ("width", "height"))
    corner = f'x="{_LEFT}" y="{y + 22 - height * scale:.1f}"'
    size = f'width="{width * scale:.1f}" height="{height * scale:.1f}" viewBox="0 0 {width:g} {height:g}"'
    return f"<svg {corner} {size}>{inner.partition('>')[2]}"
