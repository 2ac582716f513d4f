"""skipstone blocks: list the catalogue of skip designs."""

from typing import Any

from skipstone.cli import arguments, output


def run(*, format: arguments.TextOrJson = "text") -> int:
    """List the catalogue of skip designs, oldest first.

    --format json gives every field of every record; `skipstone explain SLUG` prints a design's page. Exit status: 0.
    """
    import json
    from dataclasses import asdict

    from skipstone import blocks

    designs = [blocks.get(slug) for slug in blocks.names()]
    if format == "json":
        print(json.dumps({"version": 1, "designs": [asdict(design) for design in designs]}, indent=2))
    else:
        _print_table(designs)
    return 0


def _print_table(designs: list[Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    table.add_column("design", no_wrap=True)
    table.add_column("equation", overflow="fold")
    table.add_column("first author, year, arXiv", no_wrap=True)
    for design in designs:
        source = f"{design.authors[0].split()[-1]} {design.year}, {design.arxiv}"
        table.add_row(design.slug, design.equation, source)
    console = output.table_console()
    console.print(table)
    console.print(f"{len(designs)} designs; `skipstone explain {designs[0].slug}` prints a page")
