"""The terminal as it is: encodings that lack our characters, names that are no text, streams that are closed."""

import codecs
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TextIO

from skipstone.cli.boundary import tell

_PLAIN = str.maketrans("╭╮╰╯├┤┬┴┼─│═▶◀→←×·−–—…≥≤‖", "+++++++++-|=><><x.---.><|") | {ord("±"): "+-", ord("²"): "^2"}
_HANDLER = "skipstone-plain"


def prepare() -> None:
    """Make the process's streams take whatever we print, and its end by SIGTERM that of Ctrl-C."""
    for descriptor in (0, 1, 2):  # a closed one would be taken by the next file that is opened, and printed into
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
    signal.signal(signal.SIGTERM, _end)
    warnings.showwarning = partial(_warn, warnings.showwarning)


def _warn(
    others: Callable[..., None],
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning of ours is one line; where in our code it was given says nothing to who runs a command."""
    if category.__module__.startswith("skipstone."):
        tell(str(message))
    else:
        others(message, category, filename, lineno, file, line)


def was_ended() -> bool:
    """Has SIGTERM come?"""
    return _ended["by"] is not None


_ended: dict[str, int | None] = {"by": None}


def _end(number: int, frame: FrameType | None) -> None:
    _ended["by"] = number
    raise KeyboardInterrupt


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for characters that the terminal lacks: lines drawn in ASCII, names byte for byte, others escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    out = b""
    for character in error.object[error.start : error.end]:
        code = ord(character)
        if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that was no text
            out += bytes([code - 0xDC00])
        else:
            out += character.translate(_PLAIN).encode("ascii", "backslashreplace")
    return out, error.end
