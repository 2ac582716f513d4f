"""A file that one process holds at a time; the system lets go when that process ends, however it ends."""

import errno
import os
import time
from pathlib import Path

_LOOK_SECONDS = 0.05
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems answer that keep no locks (Lustre without its flock option, some FUSE)."""


class Lock:
    """The lock file `path`, which stays when it is let go.

    Where the file system keeps no locks everybody may take it: nothing is lost then but the warning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, patience_seconds: float = 0.0) -> bool:
        """Hold it from now on, if it comes free within so many seconds; `OSError` where the file can't be made."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        end = time.monotonic() + patience_seconds
        while not (taken := _take(descriptor)) and time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)
        if taken:
            self._descriptor = descriptor
        else:
            os.close(descriptor)
        return taken

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_taken(path: Path) -> bool:
    """Does another process hold this lock file? Nothing is changed to find out, and False where it can't be known."""
    try:
        import fcntl

        with path.open(encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # Windows can't look without taking; no lock file, no holder
        return False
    return False


def _take(descriptor: int) -> bool:
    try:
        import fcntl
    except ImportError:
        return _take_on_windows(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _NO_LOCKS
    return True


def _take_on_windows(descriptor: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True
