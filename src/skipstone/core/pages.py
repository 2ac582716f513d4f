"""Generated documentation: pages made from docstrings are written by one command and held equal by tests."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from skipstone.core.files import write_atomically


def write_pages(folder: Path, pages: Mapping[str, str]) -> int:
    """Write file name -> text into `folder`; the number of files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = 0
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            write_atomically(file, text.encode())
            changed += 1
    return changed


def main(module: str, arguments: Sequence[str], pages: Mapping[str, str]) -> int:
    """`python -m MODULE FOLDER`: write the pages and say how many changed; the exit status."""
    if len(arguments) != 1:
        print(f"usage: python -m {module} FOLDER", file=sys.stderr)
        return 2
    print(f"{len(pages)} pages, {write_pages(Path(arguments[0]), pages)} changed")
    return 0
