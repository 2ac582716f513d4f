"""One way to write a file that something depends on: whole, or not at all.

The bytes go into a temporary file beside the target, reach the disk, and take the target's name in one step; then the
folder reaches the disk, since a rename is a change of the folder. Whatever happens at whatever moment (a kill, a full
disk, a power cut), the target holds its old bytes or its new ones. Only `os` functions are used, one a system call,
which is what lets the tests break any of them.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from skipstone.core.errors import SkipstoneError

_PREFIX, _SUFFIX = ".skipstone-", ".partial"


def write_atomically(path: str | Path, data: bytes) -> None:
    """Make `data` the content of the file `path`, or leave the file as it was.

    A link is followed and stays a link; an existing file keeps its permissions and, where the system lets us, its
    owner. A pipe or a device (`/dev/stdout`) has nothing to lose and is written straight into.

    Raises:
        OSError: the folder does not exist or cannot be written, the file is read-only or a folder, the disk is full.
            Nothing has changed then, and no temporary file is left.
    """
    target = Path(os.path.realpath(path))
    before = _status(target)
    if before is not None and not stat.S_ISREG(before.st_mode):
        _write_into(os.open(target, os.O_WRONLY), data)  # a folder raises IsADirectoryError here
        return
    if before is not None and not os.access(target, os.W_OK):
        # A rename needs no permission of the file itself; a file that was made read-only is not ours to replace.
        raise PermissionError(13, os.strerror(13), str(target))
    partial = target.with_name(f"{_PREFIX}{secrets.token_hex(6)}{_SUFFIX}")
    try:
        _write_into(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666), data)
        if before is not None:
            _copy_ownership(before, partial)
        os.replace(partial, target)
    except BaseException:
        if partial.exists():
            os.unlink(partial)
        raise
    sync_folder(target.parent)


def append_durably(path: str | Path, data: bytes) -> None:
    """Add `data` to the end of the file `path`, made if it is not there, and see it to the disk.

    Not atomic: after a crash or on a full disk the file may end in a part of `data`, which its reader must know.

    Raises:
        OSError: the file cannot be written.
    """
    new = not os.path.exists(path)
    _write_into(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), data)
    if new:
        sync_folder(Path(path).parent)


def make_folder(path: str | Path) -> None:
    """Make a folder and those above it, and see them to the disk; one that is there already is left alone.

    Raises:
        SkipstoneError: a file stands where it is to be.
        OSError: the folder cannot be made.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise SkipstoneError(f"{path} is a file, expected a folder")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """See the names in a folder to the disk; nothing on systems that can't open folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    # What was asked for is done by now. Some network file systems refuse to sync a folder, and a folder may be writable
    # without being readable: neither is worth an error.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_partial(name: str) -> bool:
    """Is this a temporary file's name, left behind where a process was killed while it wrote?"""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def _write_into(descriptor: int, data: bytes) -> None:
    """Write all of `data`, see it to the disk, close."""
    try:
        rest = memoryview(data)
        while len(rest):
            rest = rest[os.write(descriptor, rest) :]
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _status(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _copy_ownership(before: os.stat_result, partial: Path) -> None:
    now = os.stat(partial)
    if hasattr(os, "chown") and (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        # Another's file in a folder of ours becomes ours, as an editor would make it.
        with suppress(PermissionError):
            os.chown(partial, before.st_uid, before.st_gid)
    os.chmod(partial, stat.S_IMODE(before.st_mode))
