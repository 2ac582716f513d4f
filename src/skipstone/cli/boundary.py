"""Where errors end: whatever a command meets becomes one line on stderr and an exit status, never a traceback.

What the world refused (files, memory, numbers, names) is told with its value and what would be right, and what the
user's own code raised with its line; both give status 2. Anything else is a fault of ours and is told as one.
"""

import errno
import os
import select
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skipstone.core.errors import printable, text_of
from skipstone.core.files import is_partial

CLEAN, FINDINGS, COULD_NOT_RUN, INTERRUPTED = 0, 1, 2, 130

_OURS = str(Path(__file__).parents[1]) + os.sep
_THEIRS = tuple(_OURS + folder + os.sep for folder in ("models", "blocks"))  # networks are code like any user's
_NO_NETWORKS = ("importing.py", "target.py", "zoos.py", "registry.py", "counting.py", "page.py")  # but these hold none

_ADVICE = {
    errno.ENOENT: "give a path whose folder exists",
    errno.EACCES: "give one that may be read and written",
    errno.EPERM: "give one that may be read and written",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a path whose parts are folders",
    errno.EROFS: "give a path on a disk that can be written",
    errno.ENOSPC: "free some room, or give a path on another disk",
    errno.EFBIG: "allow larger files, or give a path on another disk",
    errno.EDQUOT: "free some room, or give a path on another disk",
    errno.ENAMETOOLONG: "give a shorter name",
}


def guarded(command: Callable[[], int]) -> int:
    """Run a command; its exit status, or that of the error it ended with, which has been told by then."""
    try:
        status = command()
    except KeyboardInterrupt:
        tell("interrupted")
        status = INTERRUPTED
    except BrokenPipeError as error:
        status = CLEAN if _reader_has_gone() else _told(error)
    except OSError as error:
        status = _lost_output(error) if _came_from_printing(error) else _told(error)
    except SystemExit as error:
        # Rich, which prints the help, answers so to a reader that has gone.
        status = CLEAN if isinstance(error.__context__, BrokenPipeError) else _told(error)
    except BaseException as error:  # noqa: BLE001 - the one place where every error ends, each told and none swallowed
        status = _told(error)
    return _flushed(status)


def tell(text: str) -> None:
    """One line on stderr; where that is closed there is nobody to tell."""
    try:
        print(f"skipstone: {printable(text)}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


@contextmanager
def told_once(kind: type[Warning]) -> Iterator[None]:
    """Warnings of this kind as a line each, the same one once; all others go where they went."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", kind)
        show = warnings.showwarning

        def show_ours(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, kind):
                show(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                tell(str(message))

        warnings.showwarning = show_ours
        yield


def in_words(error: BaseException) -> str | None:
    """What the world refused, in one line with the value and what would be right; None for any other error."""
    if isinstance(error, OSError):
        return _refused(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _is_allocation(error):
        return f"not enough memory ({_first_line(error)}); give a smaller input or network"
    if isinstance(error, UnicodeDecodeError):
        return (
            f"a text is not {error.encoding}: byte {error.object[error.start]:#04x} at {error.start}; save it as UTF-8"
        )
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object[error.start : error.end]!r} cannot be written in {error.encoding}; use UTF-8"
    if isinstance(error, RecursionError):
        return "something is nested too deeply, or calls itself without end; Python allows about 1000 levels"
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return "a name holds a NUL character, which no file's name does; leave it out"
    if isinstance(error, OverflowError):
        return f"a number is too large: {_first_line(error)}; give a smaller one"
    return None


def _told(error: BaseException) -> int:
    from skipstone.core.errors import InternalError, SkipstoneError
    from skipstone.core.faults import internal_error
    from skipstone.models.importing import TargetError

    if isinstance(error, SystemExit):
        tell(f"the network's own code ended the program by SystemExit({error.code!r}); take its sys.exit out")
    elif isinstance(error, SkipstoneError | InternalError):
        tell(str(error))
        if isinstance(error, TargetError):
            explain_building(error.__cause__)
    elif words := in_words(error):
        tell(words)
    elif place := _users_line(error):
        tell(f"{place}: {type(error).__name__}: {_first_line(error)}")
    else:
        tell(str(internal_error(error)))
    return COULD_NOT_RUN


def explain_building(error: BaseException | None) -> None:
    """Below the line for a network that could not be built, what was wrong in it: one whose own call raised, or a model
    of Keras that refused a merge."""
    if error is not None and "torch" in sys.modules:
        from skipstone.programs.explanation import explain

        explanation = explain(error)
        if explanation is not None:
            print(f"\n{explanation}", file=sys.stderr, flush=True)


def _refused(error: OSError) -> str:
    if error.filename is None and error.errno == errno.ENOENT and not _has_folder():
        return "the working folder does not exist any more; change into one that does"
    names = [_name(name) for name in (error.filename, error.filename2) if name is not None]
    said = error.strerror or _first_line(error)
    advice = _ADVICE.get(error.errno or 0)
    return f"{': '.join([*names, said])}{f'; {advice}' if advice else ''}"


def _name(file: object) -> str:
    """A file as the user knows it: of a temporary one its folder."""
    path = Path(os.fsdecode(file) if isinstance(file, str | bytes) else str(file))
    return str(path.parent if is_partial(path.name) else path)


def _has_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _is_allocation(error: BaseException) -> bool:
    """Torch's CPU allocator has no error class of its own."""
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _first_line(error: BaseException) -> str:
    return next(iter(text_of(error).splitlines()), "") or type(error).__name__


def _users_line(error: BaseException) -> str | None:
    """`net.py:12` where the innermost code that is neither installed nor Python's own is the user's, else None."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename.startswith(_OURS) and not _is_network(frame.filename):
            return None
        if os.path.isfile(frame.filename) and not _is_installed(frame.filename):
            return f"{frame.filename}:{frame.lineno}"
    return None


def _is_network(file: str) -> bool:
    return file.startswith(_THEIRS) and os.path.basename(file) not in _NO_NETWORKS


def _is_installed(file: str) -> bool:
    library = os.path.dirname(os.__file__) + os.sep
    return file.startswith(library) or "site-packages" in file or "dist-packages" in file


# ---- stdout


def _flushed(status: int) -> int:
    """The status, once what was printed has arrived; at exit Python would find out too late."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status if isinstance(error, BrokenPipeError) else _lost_output(error)
    return status


def _lost_output(error: OSError) -> int:
    tell(f"cannot write to standard output: {error.strerror}; what it should hold is incomplete")
    return COULD_NOT_RUN


def _came_from_printing(error: OSError) -> bool:
    """Files are written in `core` and below; the commands themselves, and rich for them, only print."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1].filename if frames else ""
    printers = last.startswith(_OURS + "cli" + os.sep) or f"{os.sep}rich{os.sep}" in last
    return error.filename is None and printers and _has_folder()


def _reader_has_gone() -> bool:
    """Is it the reader of our output (`| head`) that a broken pipe means, and not a process of our own?"""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no such call on Windows, no such file in a notebook
        return True
