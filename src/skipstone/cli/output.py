"""What several commands show. Foreign text (names, paths, error messages) is printed as it is, never as markup."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from skipstone.core.errors import SkipstoneError, printable
from skipstone.programs.saying import waiting as said_while_waiting

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from torch import nn

    from skipstone.core.edit import Edit
    from skipstone.core.sources import SourceChange


def console(*, stderr: bool = False, width: int | None = None) -> "Console":
    """Rich's console with none of the meanings that it gives to brackets, colons and numbers; lines stay whole."""
    return _console_of_texts()(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def table_console(*, width: int | None = None) -> "Console":
    """The same for what has to fit the width: tables and rules."""
    return _console_of_texts()(width=width, highlight=False, markup=False, emoji=False)


@cache
def _console_of_texts() -> type["Console"]:
    """A console that writes out the control characters of texts, in the cells of tables too."""
    from rich.console import Console

    class TextConsole(Console):
        def render_str(self, text: str, **options: Any) -> "Text":
            return super().render_str(printable(text), **options)

    return TextConsole


_begun = time.monotonic()


def waiting(words: str) -> AbstractContextManager[TextIO]:
    """A line on the terminal's stderr while this block runs, from a second after the command's start on."""
    return said_while_waiting(words, _begun)


@contextmanager
def aside() -> Iterator[None]:
    """While the user's code may run: what it prints goes to stderr, so that stdout holds our result alone."""
    with waiting("looking at the network") as stream, redirect_stdout(stream), redirect_stderr(stream):
        yield


def note(text: str) -> None:
    """A line on stderr beside the result."""
    print(printable(text), file=sys.stderr)


def print_patch(changes: Iterable["SourceChange"]) -> None:
    """A patch on stdout, to the byte: it holds lines of files in their own encodings."""
    patch = b"".join(change.patch() for change in changes)
    sys.stdout.flush()
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None:  # a stream of text alone, such as a notebook's
        sys.stdout.write(patch.decode("utf-8", "surrogateescape"))
    else:
        raw.write(patch)
        raw.flush()


def show_source(model: "nn.Module", edits: Sequence["Edit"], *, write: bool) -> int:
    """Print or make the change of the source; in words, and status 2, where it is not certain."""
    from skipstone import surgery
    from skipstone.core.sources import write_changes

    changes = surgery.source_changes(model, edits)
    if changes is None:
        note(f"no source change is certain: {surgery.why_not(model, edits)}. By hand:\n{surgery.suggestion(edits)}")
        return 2
    if not write:
        print_patch(changes)
        return 0
    write_changes(changes)
    for change in changes:
        note(f"changed: {change.path}")
    return 0


def save_network(model: "nn.Module", edits: Sequence["Edit"], path: Path) -> None:
    """Save the edited network by torch.save, whole or not at all."""
    import io

    import torch

    from skipstone import surgery
    from skipstone.core.files import write_atomically
    from skipstone.models.importing import one_line

    edited, saved = surgery.apply(model, edits), io.BytesIO()
    try:
        torch.save(edited, saved)
    except Exception as error:  # whatever the network's own pickling raises
        raise SkipstoneError(f"the network cannot be saved: {one_line(error)}") from error
    write_atomically(path, saved.getvalue())
    note(f"saved: {path}")


def show_comparison(comparison: Any) -> None:
    """Print the table and the sentences of a comparison to stdout."""
    from skipstone.report.tables import accuracy_table, comparison_text

    printer = table_console()
    printer.print(accuracy_table(comparison))
    printer.print(comparison_text(comparison), markup=False)
    printer.print()
