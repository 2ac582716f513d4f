"""skipstone show: each layer's output shape, and the network with its skips as arcs."""

import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def run(
    target: str,
    /,
    *,
    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False)],
    svg: Path | None = None,
    width: int | None = None,
) -> int:
    """Print each layer's output shape and the network with its skips as arcs.

    Records one forward pass without computing anything. Operations that do not fit are marked FAILS, and what follows
    is drawn with the shape they would have had. Exit status: 0 the pass runs, 1 an operation fails, 2 could not run.

    Parameters
    ----------
    target
        file.py:Name, file.py:factory(64, 128), package.module:Name, timm:NAME, torchvision:NAME, skipstone:NAME.
    input
        One example input: 3x32x32 (a batch of 2 is added), 2,3,32,32 (with the batch), 2,16:int64; once an input.
    svg
        Write the drawing as an SVG file too.
    width
        Columns of the terminal; found out if not given.
    """
    from skipstone.cli import prepare_to_record
    from skipstone.core.drawing import draw
    from skipstone.models.target import outline
    from skipstone.report import drawing_text
    from skipstone.report.arcs import listing_svg
    from skipstone.skips import find_skips
    from skipstone.tracing import trace
    from skipstone.tracing.example import parse_input_text

    prepare_to_record()
    graph = trace(outline(target), tuple(map(parse_input_text, input)))
    drawing = draw(graph, find_skips(graph), target)
    print(drawing_text(drawing, width=width or shutil.get_terminal_size((120, 24)).columns))
    if graph.stopped:
        print(f"partial: {graph.stopped}")
    if svg:
        svg.write_text(listing_svg(drawing), encoding="utf-8")
        print(f"drawing: {svg}")
    return 1 if graph.failures or graph.stopped else 0
