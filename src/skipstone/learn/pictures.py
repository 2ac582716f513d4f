"""Pictures for lessons, made by the project's own recorder and measurements, for a plain terminal.

`python -m skipstone.learn.pictures src/skipstone/learn/units` writes those of all units beside them.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from skipstone.core.graph import shape_text
from skipstone.core.pages import main

if TYPE_CHECKING:
    from torch import nn


def drawing(model: "nn.Module", example: Sequence[int], note: str = "") -> str:
    """The network with its skips as arcs, as `skipstone show` prints it."""
    from skipstone.core.drawing import draw
    from skipstone.report.text import drawing_text
    from skipstone.skips import find_skips
    from skipstone.tracing import trace

    graph = trace(model, tuple(example))
    text = drawing_text(draw(graph, find_skips(graph)), width=80)
    return f"{note}\n\n{text}" if note else text


def shape_ledger(model: "nn.Module", example: Sequence[int], until: str = "", note: str = "") -> str:
    """A line a layer: its name, its settings, the shape before and after; up to the layer named `until`."""
    from skipstone.graphs.operations import has_role
    from skipstone.tracing import trace

    graph = trace(model, tuple(example))
    rows: list[tuple[str, str, str]] = []
    for node in graph:
        if node.kind != "op" or not has_role(node, "conv", "pool", "layer"):
            continue
        info = graph.modules.get(node.module)
        what = info.type if info and info.path else node.op
        if has_role(node, "conv"):
            what += f", kernel {graph[node.inputs[1]].shape[2]}"
        before = graph[node.inputs[0]].shape
        rows.append((node.module or node.op, what, f"{shape_text(before)} -> {shape_text(node.shape)}"))
        if until and node.module == until:
            break
    widths = [max(len(row[k]) for row in rows) for k in range(2)]
    text = "\n".join(f"{a:<{widths[0]}}  {b:<{min(widths[1], 60)}}  {c}" for a, b, c in rows)
    return f"{note}\n\n{text}" if note else text


def curves(series: Mapping[str, Sequence[float]], *, height: int = 10, log: bool = False, note: str = "") -> str:
    """Curves of letters: one letter a series, the value upwards, the index to the right."""
    marks = dict(zip(series, "abcdefgh", strict=False))

    def level(value: float) -> float:
        return math.log10(max(value, 1e-300)) if log else value

    values = [level(value) for row in series.values() for value in row if math.isfinite(value)]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    width = max(map(len, series.values()))
    grid = [[" "] * (3 * width) for _ in range(height)]
    for name, row in series.items():
        for i, value in enumerate(row):
            if math.isfinite(value):
                grid[height - 1 - round((height - 1) * (level(value) - low) / span)][3 * i + 1] = marks[name]
    lines = []
    for k, cells in enumerate(grid):
        at = high - span * k / (height - 1)
        label = f"{10**at:.0e}" if log else f"{at:.3g}"
        lines.append(f"{label:>8} |{''.join(cells).rstrip()}")
    lines.append(f"{'':>8} +{'-' * (3 * width)}")
    lines += [f"{'':>9} {marks[name]} = {name}" for name in series]
    return "\n".join([note, "", *lines] if note else lines)


def pages() -> dict[str, str]:
    """File name -> text: the picture of each unit."""
    from skipstone.learn.unit import units

    return {f"{unit.name.replace('-', '_')}.txt": f"{unit.picture()}\n" for unit in units()}


if __name__ == "__main__":
    sys.exit(main("skipstone.learn.pictures", sys.argv[1:], pages()))
