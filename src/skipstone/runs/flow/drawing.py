"""The gradient's norm over depth as an SVG text, one panel a set of networks; no torch, no scripts.

Text and axes take the page's own colour, so that one figure serves light, dark and paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from skipstone.runs.flow.record import FlowRecord
from skipstone.runs.flow.text import summary
from skipstone.runs.flow.verdicts import depth_series

COLOURS = ("#d1661a", "#2f7fd1", "#2b9a78", "#9a62d8", "#a8852a", "#cf4f7c", "#6f8296")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP, _FOOT = 380, 240, 64, 46, 34, 40


@dataclass(frozen=True, slots=True)
class Line:
    """The gradient's norm at each layer of one network, first layer first.

    A norm of exactly zero has no logarithm: the line has a gap there, with one 0 at the foot.
    """

    label: str
    norms: tuple[float, ...]

    @classmethod
    def of(cls, label: str, record: FlowRecord) -> "Line":
        return cls.mean(label, [record])

    @classmethod
    def mean(cls, label: str, records: Sequence[FlowRecord]) -> "Line":
        """The geometric mean over the records of one network, seeds for example; 0 where any of them is 0."""
        columns = zip(*([norm for _, norm in depth_series(record)] for record in records), strict=True)
        return cls(label, tuple(_geometric_mean(column) for column in columns))


def _geometric_mean(norms: Sequence[float]) -> float:
    if not all(map(math.isfinite, norms)):
        return math.nan
    return math.exp(sum(map(math.log, norms)) / len(norms)) if min(norms) > 0 else 0.0


def flow_svg(panels: Sequence[tuple[str, Sequence[Line]]], *, columns: int = 2) -> str:
    """Panels (title, lines) in rows of `columns`, the norm on one logarithmic scale, depth from first layer to last."""
    lines = [line for _, drawn in panels for line in drawn]
    low, high = _bounds([norm for line in lines for norm in line.norms])
    colours = {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(dict.fromkeys(line.label for line in lines))}
    parts = [_legend(colours, zeros=any(norm == 0 for line in lines for norm in line.norms))]
    columns = max(1, min(columns, len(panels)))
    for k, (title, drawn) in enumerate(panels):
        place = _LEFT + k % columns * (_WIDTH + _GAP), _TOP + k // columns * (_HEIGHT + _FOOT + _GAP)
        panel = _Panel(*place, low, high)
        parts.append(panel.frame(title, labelled=k % columns == 0))
        parts += [panel.curve(line, colours[line.label]) for line in drawn]
    width, rows = _LEFT + columns * (_WIDTH + _GAP), math.ceil(len(panels) / columns)
    height = _TOP + rows * (_HEIGHT + _FOOT + _GAP) - _GAP
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">\n'
        f"<title>Norm of the gradient at each layer's output, by depth</title>\n{body}\n</svg>\n"
    )


def flow_html(record: FlowRecord) -> str:
    """The drawing of one record and what it means, for a notebook."""
    drawing = flow_svg([("", [Line.of("gradient at each layer's output", record)])])
    return f'<div style="max-width:44em">{drawing}<pre>{escape(summary(record))}</pre></div>'


def _bounds(norms: Sequence[float]) -> tuple[int, int]:
    """The powers of ten around all norms."""
    logs = [math.log10(norm) for norm in norms if norm > 0 and math.isfinite(norm)] or [0.0]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return low, max(high, low + 1)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One frame with curves: where its upper left corner is, and the powers of ten at its lower and upper edge."""

    left: int
    top: int
    low: int
    high: int

    def y(self, norm: float) -> float:
        share = (math.log10(norm) - self.low) / (self.high - self.low)
        return round(self.top + _HEIGHT * (1 - share), 1)

    def frame(self, title: str, *, labelled: bool) -> str:
        step = max(1, math.ceil((self.high - self.low) / 6))
        left, right, foot = self.left, self.left + _WIDTH, self.top + _HEIGHT + 18
        out = [f'<text x="{left}" y="{self.top - 10}" font-weight="600">{escape(title)}</text>']
        for power in range(self.low, self.high + 1, step):
            y = self.y(10.0**power)
            out.append(f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="currentColor" opacity="0.15"/>')
            if labelled:
                out.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{_power(power)}</text>')
        out.append(f'<text x="{left}" y="{foot}">first layer</text>')
        out.append(f'<text x="{right}" y="{foot}" text-anchor="end">last layer</text>')
        return "\n".join(out)

    def curve(self, line: Line, colour: str) -> str:
        last = max(1, len(line.norms) - 1)
        ends = f"{line.norms[0]:.2g} at the first layer, {line.norms[-1]:.2g} at the last" if line.norms else ""
        out = [f'<g stroke="{colour}" fill="none"><title>{escape(line.label)}: {ends}</title>']
        places = [round(self.left + _WIDTH * k / last, 1) for k in range(len(line.norms))]
        for kind, stretch in groupby(zip(places, line.norms, strict=True), lambda point: _kind(point[1])):
            points = list(stretch)
            if kind == "line":
                path = [f"{x},{self.y(norm)}" for x, norm in points]
                path *= 2 if len(path) == 1 else 1  # a point by itself is a round dot
                out.append(f'<polyline points="{" ".join(path)}" stroke-width="2" stroke-linecap="round"/>')
            elif kind == "zero":
                x, foot = (points[0][0] + points[-1][0]) / 2, self.top + _HEIGHT - 3
                out.append(f'<text x="{x:.1f}" y="{foot}" text-anchor="middle" stroke="none" fill="{colour}">0</text>')
        return "\n".join([*out, "</g>"])


def _kind(norm: float) -> str:
    """How a norm is drawn."""
    if norm == 0:
        return "zero"
    return "line" if math.isfinite(norm) else "gap"


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -3 <= power <= 3 else f"1e{power}"


def _legend(colours: dict[str, str], *, zeros: bool) -> str:
    x, out = _LEFT, []
    for label, colour in colours.items():
        out.append(f'<line x1="{x}" x2="{x + 22}" y1="14" y2="14" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{x + 28}" y="18">{escape(label)}</text>')
        x += 46 + 7 * len(label)
    if zeros:
        out.append(f'<text x="{x}" y="18">0: exactly zero</text>')
    return "\n".join(out)
