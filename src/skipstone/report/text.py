"""A network in the terminal: a line a layer, its skips as arcs of box-drawing characters in the margin."""

from collections.abc import Sequence

from skipstone.core.drawing import Arc, Drawing, Row, lanes
from skipstone.core.graph import shape_text

_BOX = {
    frozenset(directions.split()): mark
    for directions, mark in (
        ("", " "), ("up down", "│"), ("left right", "─"), ("down right", "╭"), ("up right", "╰"),
        ("up down right", "├"), ("down left right", "┬"), ("up left right", "┴"), ("up down left right", "┼"),
    )
}  # fmt: skip

MAX_LANES = 10
"""Arcs that would need more columns than these are named below the drawing instead."""


def drawing_text(drawing: Drawing, *, width: int = 100) -> str:
    """The drawing as lines of at most `width` characters where names allow it.

    An arc leaves its source with `╭─`, runs down the margin and arrives with `╰▶`. Beside each merge stand the kinds of
    the skips that arrive and how many layers they jump over.
    """
    lane_of = lanes(drawing.arcs)
    drawn = [(arc, lane) for arc, lane in zip(drawing.arcs, lane_of, strict=True) if lane < MAX_LANES]
    hidden = [arc for arc, lane in zip(drawing.arcs, lane_of, strict=True) if lane >= MAX_LANES]
    margin = _margin(len(drawing.rows), drawn)
    table = [_cells(i, row, drawing.arcs) for i, row in enumerate(drawing.rows)]
    head = ("layer", "", "output", "parameters", "skips")
    widths = [max(len(line[column]) for line in (head, *table)) for column in range(4)]
    room = width - (len(margin[0]) if margin else 0) - sum(widths[1:]) - 30
    widths[0] = min(widths[0], max(16, room))
    lines = [" " * (len(margin[0]) if margin else 0) + _line(head, widths)]
    lines += [left + _line(cells, widths) for left, cells in zip(margin, table, strict=True)]
    return "\n".join([*(line.rstrip() for line in lines), *_foot(drawing, hidden)])


def _cells(index: int, row: Row, arcs: Sequence[Arc]) -> tuple[str, str, str, str, str]:
    count = f"{row.num_parameters:,}" if row.num_parameters else ""
    arriving = [f"{arc.kind} {arc.merge}, over {_layers(arc.span)}" for arc in arcs if arc.target == index]
    several = {text: arriving.count(text) for text in arriving}
    notes = [f"{n} x {text}" if n > 1 else text for text, n in several.items()]
    note = "; ".join([f"FAILS: {row.failure}", *notes] if row.failure else notes)
    return row.name, row.what, shape_text(row.shape), count, note


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, what, shape, count, note = cells
    return (
        f"{_fit(name, widths[0]):<{widths[0]}}  {what:<{widths[1]}}  {shape:<{widths[2]}}  {count:>{widths[3]}}  {note}"
    )


def _fit(name: str, width: int) -> str:
    """The name, its beginning cut off where it is too long: the end of a path tells more."""
    return name if len(name) <= width else "…" + name[len(name) - width + 1 :]


def _margin(num_rows: int, drawn: Sequence[tuple[Arc, int]]) -> list[str]:
    """The arcs, a string a row, all of one length; lane 0 stands nearest to the rows.

    Every cell gathers the directions in which lines leave it; crossings and shared corners then draw themselves.
    """
    if not drawn:
        return [""] * num_rows
    width = max(lane for _, lane in drawn) + 1
    cells: list[list[set[str]]] = [[set() for _ in range(width)] for _ in range(num_rows)]
    heads = [" "] * num_rows
    for arc, lane in drawn:
        column = width - 1 - lane
        for row in range(arc.source, arc.target + 1):
            if row > arc.source:
                cells[row][column].add("up")
            if row < arc.target:
                cells[row][column].add("down")
        for end in (arc.source, arc.target):
            cells[end][column].add("right")
            for between in cells[end][column + 1 :]:
                between.update(("left", "right"))
    for arc, _ in drawn:
        heads[arc.source] = "─" if heads[arc.source] == " " else heads[arc.source]
        heads[arc.target] = "▶"
    lines = ["".join(_BOX[frozenset(cell)] for cell in line) for line in cells]
    return [f"{line}{head} " for line, head in zip(lines, heads, strict=True)]


def _foot(drawing: Drawing, hidden: Sequence[Arc]) -> list[str]:
    lines = ["", f"{_counted(drawing)}; {drawing.num_parameters:,} parameters"]
    if hidden:
        lines.append(f"not drawn above, for want of room: {len(hidden)} more")
        lines += [
            f"  {drawing.rows[a.source].name} -> {drawing.rows[a.target].name}  {a.kind} {a.merge}" for a in hidden
        ]
    return lines


def _counted(drawing: Drawing) -> str:
    """`9 skips: 7 identity add, 2 projection add`."""
    names = [f"{arc.kind} {arc.merge}" for arc in drawing.arcs]
    if not names:
        return "no skips"
    counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
    return f"{len(names)} skip{'s' if len(names) > 1 else ''}: {counts}"


def _layers(span: int) -> str:
    return f"{span} layer{'' if span == 1 else 's'}"
