"""The worth of each skip as a drawing: three dots a row, zero-shot, recalibrated and retrained, as an SVG text."""

from html import escape

from skipstone.experiments.worths import Measured, Worths

_LEFT, _WIDTH, _ROW, _TOP = 300, 420, 26, 66
_MARKS = (("zero_shot", "zero-shot", "#d1661a"), ("recalibrated", "batch norm recalibrated", "#2f7fd1"),
          ("retrained", "retrained", "#2b9a78"))  # fmt: skip


def worth_svg(worths: Worths) -> str:
    """A self-contained SVG: test accuracy without each skip, the dearest first, below that of the intact network."""
    rows = [("nothing taken out", worths.intact)]
    rows += [(f"#{s.index} {s.kind} {s.merge} {s.target}", s.without) for s in worths.skips]
    height = _TOP + _ROW * len(rows) + 34
    title = f"Test accuracy without each skip, {worths.data}, {worths.num_test:,} images, one trained network"
    body = [f'<title>{escape(title)}</title><text x="10" y="20" font-weight="600">{escape(title)}</text>']
    again = f" {worths.epochs} epoch{'s' * (worths.epochs > 1)}" if worths.epochs else ""
    for number, (_, label, colour) in enumerate(_MARKS):
        left = 10 + 200 * number
        text = label + (again if label == "retrained" else "")
        body.append(
            f'<circle cx="{left + 5}" cy="38" r="5" fill="{colour}"/><text x="{left + 16}" y="42">{text}</text>'
        )
    for percent in (0, 25, 50, 75, 100):
        x = _x(percent / 100)
        line = f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{height - 28}" stroke="currentColor" opacity="0.15"/>'
        body.append(f'{line}<text x="{x}" y="{height - 10}" text-anchor="middle">{percent} %</text>')
    for number, (name, measured) in enumerate(rows):
        body.append(_row(name, measured, _TOP + _ROW * number + 8))
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 40} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" fill="currentColor">\n{inner}\n</svg>\n'
    )


def _row(name: str, measured: Measured, y: int) -> str:
    marks = []
    for attribute, label, colour in _MARKS:
        value = getattr(measured, attribute)
        if value is not None:
            tip = f"{name}: {label} {100 * value:.2f} %"
            marks.append(
                f'<circle cx="{_x(value)}" cy="{y}" r="5" fill="{colour}"><title>{escape(tip)}</title></circle>'
            )
    shown = name if len(name) <= 42 else name[:41] + "…"
    return f'<text x="{_LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(shown)}</text>{"".join(marks)}'


def _x(value: float) -> float:
    return round(_LEFT + _WIDTH * value, 1)
