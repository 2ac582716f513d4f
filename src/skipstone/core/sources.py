"""The user's source files: read as Python reads them, changed in memory first, shown as a patch, written whole.

A change holds the file's bytes before and after, so that it can be shown, checked and written without reading the file
again. While changes are rehearsed, `read_source` and `linecache` give the new text, and an importer that asks
`rehearsed` does too: a network can be built from a change that nobody has written yet.
"""

import difflib
import io
import linecache
import tokenize
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skipstone.core.errors import SkipstoneError
from skipstone.core.files import write_atomically

_REHEARSED: dict[str, bytes] = {}


class SourceError(SkipstoneError):
    """A source file that cannot be read or changed safely; the text says why."""


@dataclass(frozen=True, slots=True)
class SourceChange:
    """One file's bytes before and after. What stands in no changed line is kept to the byte."""

    path: Path
    before: bytes
    after: bytes

    def patch(self) -> bytes:
        """A unified diff that `git apply` and `patch -p1` take, in the file's own encoding and line ends."""
        name = name_for_patch(self.path)
        old, new = (_quoted(f"{side}/{name}") for side in "ab")
        lines = difflib.diff_bytes(difflib.unified_diff, _lines(self.before), _lines(self.after), old, new)
        return b"".join(line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in lines)

    def check(self) -> None:
        """Raise `SourceError` unless the file on the disk still is what this change was made from."""
        try:
            now = self.path.read_bytes()
        except OSError as error:
            raise SourceError(f"{self.path} cannot be read again, nothing is written: {error.strerror}") from error
        if now != self.before:
            raise SourceError(f"{self.path} has changed since it was read, nothing is written; run the command again")

    def write(self) -> None:
        """Put the new bytes in the file's place, whole or not at all; permissions and links stay.

        Raises:
            SourceError: the file has changed since it was read, or it cannot be written. It is as it was then.
        """
        self.check()
        try:
            write_atomically(self.path, self.after)
        except OSError as error:
            raise SourceError(f"{self.path} cannot be written and is as it was: {error.strerror or error}") from error
        linecache.checkcache(str(self.path))


def write_changes(changes: Iterable[SourceChange]) -> None:
    """Write several files; none of them where one has changed since it was read."""
    changes = tuple(changes)
    for change in changes:
        change.check()
    for change in changes:
        change.write()


def read_source(path: str | Path) -> bytes:
    """A source file's bytes, or those of the change being rehearsed."""
    rehearsed_bytes = rehearsed(path)
    return Path(path).read_bytes() if rehearsed_bytes is None else rehearsed_bytes


def decode(raw: bytes) -> tuple[str, str]:
    """A source's text and its encoding, by its byte order mark or its coding line (PEP 263), else UTF-8.

    Line ends are kept as they are; `encode` gives the same bytes back.
    """
    encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
    return raw.decode(encoding), encoding


def encode(path: Path, text: str, encoding: str) -> bytes:
    """The bytes of a changed text in the file's own encoding."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        what = text[error.start : error.end]
        raise SourceError(f"{path} is written in {encoding}, which has no {what!r}; nothing is written") from error


# ---- rehearsal


@contextmanager
def rehearsal() -> Iterator[None]:
    """Within it, `rehearse` puts new bytes in a file's place for every reader here, and the disk stays as it is."""
    try:
        yield
    finally:
        for name in [name for name in linecache.cache if rehearsed(name) is not None]:
            del linecache.cache[name]
        _REHEARSED.clear()


def rehearse(path: Path, raw: bytes) -> None:
    """Let `path` read as `raw` until the rehearsal ends."""
    _REHEARSED[str(path.resolve())] = raw
    lines = [line + "\n" for line in decode(raw)[0].replace("\r\n", "\n").split("\n")]
    for name in {str(path), str(path.resolve())}:  # code may name its file by either
        linecache.cache[name] = (len(raw), None, lines, name)  # without a time, it is never held against the disk


def rehearsed(path: str | Path) -> bytes | None:
    """The bytes that a file is rehearsed with, None where it is as on the disk."""
    return _REHEARSED.get(str(Path(path).resolve())) if _REHEARSED else None


# ---- patches


def name_for_patch(path: Path) -> str:
    """The path by which `git apply` knows a file: from the top of its repository, else from the working folder."""
    path = path.resolve()
    for parent in path.parents:
        if (parent / ".git").exists():
            return path.relative_to(parent).as_posix()
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name


def _quoted(name: str) -> bytes:
    """A name in a patch's head as git writes it: in C's quotes where it holds a quote or a control character."""
    raw = name.encode("utf-8", "surrogateescape")
    if any(byte < 0x20 or byte in b'"\\\x7f' for byte in raw):
        return b'"' + b"".join(_escaped(byte) for byte in raw) + b'"'
    return raw + b"\t" if b" " in raw else raw  # the tab ends a name that holds a space


def _escaped(byte: int) -> bytes:
    if byte in b'"\\':
        return b"\\" + bytes([byte])
    return bytes([byte]) if 0x20 <= byte < 0x7F else b"\\%03o" % byte


def _lines(raw: bytes) -> list[bytes]:
    """Lines with their ends, split at \\n alone, as diff and patch do."""
    lines = raw.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
