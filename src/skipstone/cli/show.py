"""skipstone show: each layer's output shape, and the network with its skips as arcs."""

import shutil
from pathlib import Path

from skipstone.cli import arguments, output, prepare_to_record
from skipstone.core.errors import printable


def run(
    target: arguments.Target,
    /,
    *,
    input: arguments.Inputs,
    svg: Path | None = None,
    width: int | None = None,
) -> int:
    """Print each layer's output shape and the network with its skips as arcs.

    Records one forward pass without computing anything. Operations that do not fit are marked FAILS, and what follows
    is drawn with the shape they would have had. Exit status: 0 the pass runs, 1 an operation fails, 2 could not run.

    Parameters
    ----------
    svg
        Write the drawing as an SVG file too.
    width
        Columns of the terminal; found out if not given.
    """
    from skipstone.core.drawing import draw
    from skipstone.core.files import write_atomically
    from skipstone.models.target import outline
    from skipstone.report import drawing_text
    from skipstone.report.arcs import listing_svg
    from skipstone.skips import find_skips
    from skipstone.tracing import trace

    svg = arguments.output_path(svg)
    example = arguments.examples(target, input)
    prepare_to_record()
    with output.aside():
        graph = trace(outline(target), example)
    drawing = draw(graph, find_skips(graph), target)
    print(printable(drawing_text(drawing, width=width or shutil.get_terminal_size((120, 24)).columns)))
    if graph.stopped:
        print(printable(f"partial: {graph.stopped}"))
    if svg:
        write_atomically(svg, listing_svg(drawing).encode())
        print(printable(f"drawing: {svg}"))
    return 1 if graph.failures or graph.stopped else 0
