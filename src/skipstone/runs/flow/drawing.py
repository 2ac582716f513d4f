"""The gradient's norm over depth as an SVG text, one panel a set of networks; no torch, no scripts.

Text and axes take the page's own colour, so that one figure serves light, dark and paper.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from skipstone.runs.flow.record import FlowRecord
from skipstone.runs.flow.text import summary
from skipstone.runs.flow.verdicts import depth_series

COLOURS = ("#d1661a", "#2f7fd1", "#2b9a78", "#9a62d8", "#a8852a", "#cf4f7c", "#6f8296")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP, _FOOT = 380, 240, 64, 46, 34, 40


@dataclass(frozen=True, slots=True)
class Line:
    """The gradient's norm at each layer of one network, first layer first. Zeros are drawn at the foot."""

    label: str
    norms: tuple[float, ...]

    @classmethod
    def of(cls, label: str, record: FlowRecord) -> "Line":
        return cls(label, tuple(norm for _, norm in depth_series(record)))


def flow_svg(panels: Sequence[tuple[str, Sequence[Line]]]) -> str:
    """Panels (title, lines) side by side, the norm on one logarithmic scale, depth from the first layer to the last."""
    lines = [line for _, drawn in panels for line in drawn]
    low, high = _bounds([norm for line in lines for norm in line.norms])
    colours = {label: COLOURS[k % len(COLOURS)] for k, label in enumerate(dict.fromkeys(line.label for line in lines))}
    parts = [_legend(colours)]
    for k, (title, drawn) in enumerate(panels):
        left = _LEFT + k * (_WIDTH + _GAP)
        parts.append(_frame(title, left, low, high, labelled=k == 0))
        parts += [_curve(line, left, low, high, colours[line.label]) for line in drawn]
    width = _LEFT + len(panels) * (_WIDTH + _GAP)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_TOP + _HEIGHT + _FOOT}" role="img" '
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


def _y(norm: float, low: int, high: int) -> float:
    share = (math.log10(norm) - low) / (high - low) if norm > 0 else 0.0
    return round(_TOP + _HEIGHT * (1 - share), 1)


def _frame(title: str, left: int, low: int, high: int, *, labelled: bool) -> str:
    step = max(1, math.ceil((high - low) / 6))
    out = [f'<text x="{left}" y="{_TOP - 10}" font-weight="600">{escape(title)}</text>']
    for power in range(low, high + 1, step):
        y = _y(10.0**power, low, high)
        out.append(f'<line x1="{left}" x2="{left + _WIDTH}" y1="{y}" y2="{y}" stroke="currentColor" opacity="0.15"/>')
        if labelled:
            out.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{_power(power)}</text>')
    foot = _TOP + _HEIGHT + 18
    out.append(f'<text x="{left}" y="{foot}">first layer</text>')
    out.append(f'<text x="{left + _WIDTH}" y="{foot}" text-anchor="end">last layer</text>')
    return "\n".join(out)


def _power(power: int) -> str:
    return f"{10.0**power:g}" if -3 <= power <= 3 else f"1e{power}"


def _curve(line: Line, left: int, low: int, high: int, colour: str) -> str:
    last = max(1, len(line.norms) - 1)
    points = [
        (round(left + _WIDTH * k / last, 1), _y(norm, low, high))
        for k, norm in enumerate(line.norms)
        if math.isfinite(norm)
    ]
    path = " ".join(f"{x},{y}" for x, y in points)
    ends = f"{escape(line.label)}: {line.norms[0]:.2g} at the first layer, {line.norms[-1]:.2g} at the last"
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"><title>{ends}</title></polyline>'
        if points
        else ""
    )


def _legend(colours: dict[str, str]) -> str:
    x, out = _LEFT, []
    for label, colour in colours.items():
        out.append(f'<line x1="{x}" x2="{x + 22}" y1="14" y2="14" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{x + 28}" y="18">{escape(label)}</text>')
        x += 46 + 7 * len(label)
    return "\n".join(out)
