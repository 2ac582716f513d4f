"""Write the designs' pages: `python -m skipstone.blocks.pages docs/designs`."""

import sys
from collections.abc import Sequence
from pathlib import Path

from skipstone.blocks.catalogue import CATALOGUE, cell, get, page


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


def main(arguments: Sequence[str]) -> int:
    """Write every page into the folder given and say how many changed."""
    if len(arguments) != 1:
        print("usage: python -m skipstone.blocks.pages FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    changed = 0
    for name, text in pages().items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            changed += 1
    print(f"{len(pages())} pages, {changed} changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
