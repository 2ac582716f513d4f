"""One process at a time in a folder of many runs: two would train twice and write over each other's records."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skipstone.core.lock import Lock
from skipstone.runs.folder import FolderError

_LOCK_FILE = ".lock"


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Hold `folder` while this block runs; `FolderError` where another process is `doing` ("being compared in")."""
    lock = Lock(folder / _LOCK_FILE)
    if not lock.take():
        raise FolderError(f"{folder} is {doing} by another process; wait for it, or choose another folder")
    try:
        yield
    finally:
        lock.release()
