"""Write the designs' pages: `python -m skipstone.blocks.pages docs/designs`."""

import sys

from skipstone.blocks.catalogue import CATALOGUE, cell, get, page
from skipstone.core.pages import main


def pages() -> dict[str, str]:
    """File name -> text: a page a design, and the index."""
    return {"index.md": index(), **{f"{slug}.md": page(slug) for slug in CATALOGUE}}


def index() -> str:
    """The table of all designs."""
    rows = []
    for slug in CATALOGUE:
        design = get(slug)
        source = f"{design.authors[0].split()[-1]} {design.year}, [{design.arxiv}]({design.url})"
        cells = [f"[{design.title}]({slug}.md)", f"`{design.equation}`", source, design.fact]
        rows.append(f"| {' | '.join(map(cell, cells))} |")
    return (
        "# Skip designs\n\n"
        "Each is a module in `skipstone.blocks` and holds a fact that a test executes. "
        "`skipstone explain rezero` prints a page.\n\n"
        "| design | equation | source | held by a test |\n|-|-|-|-|\n" + "\n".join(rows) + "\n"
    )


if __name__ == "__main__":
    sys.exit(main("skipstone.blocks.pages", sys.argv[1:], pages()))
