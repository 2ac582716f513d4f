"""What is said on a program's own stderr: below its traceback, and on a terminal to who waits longer than a second."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

PATIENCE = 1.0  # seconds that pass without a word


def say(text: str) -> None:
    """Print below what stands on stderr; where that is closed, or nobody reads it any more, there is nobody to tell."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"\n{text}", file=sys.stderr, flush=True)


@contextmanager
def waiting(words: str, since: float | None = None, patience: float = PATIENCE) -> Iterator[TextIO]:
    """Show `skipstone: words ...` on stderr while this block runs, once it takes long; nothing where it is no terminal.

    Args:
        since: when the wait began (`time.monotonic()`), by default now.
        patience: seconds from then on without a word.

    Yields:
        stderr, for what is printed meanwhile: the line is wiped off before.
    """
    stream = sys.stderr
    if stream is None or not stream.isatty():
        yield stream
        return
    left = patience if since is None else since + patience - time.monotonic()
    over = threading.Event()
    # One thread writes the line and wipes it off, so that the two never cross.
    teller = threading.Thread(target=_tell, args=(f"skipstone: {words} ...", stream, over, left), daemon=True)

    def end() -> None:
        over.set()
        teller.join()

    teller.start()
    try:
        yield _After(end, stream)  # type: ignore[misc]  # what it does not define is the stream's
    finally:
        end()


class _After:
    """A stream that calls something before it is written to."""

    def __init__(self, first: Callable[[], None], stream: TextIO) -> None:
        self._first, self._stream = first, stream

    def write(self, text: str) -> int:
        self._first()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _tell(line: str, stream: TextIO, over: threading.Event, seconds: float) -> None:
    if over.wait(max(seconds, 0.0)):
        return
    stream.write(f"{line}\r")
    stream.flush()
    over.wait()
    stream.write(f"{' ' * len(line)}\r")
    stream.flush()
