"""A file is written whole or not at all, whatever happens at whatever system call."""

import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from breaking import breaking, full_disk, in_child, kill
from skipstone.core.errors import SkipstoneError
from skipstone.core.files import append_durably, is_partial, make_folder, write_atomically

OLD, NEW = b"old" * 100, b"new" * 50_000


def calls_of_one_write(folder: Path) -> int:
    (folder / "count").write_bytes(OLD)
    with breaking(0, kill) as made:
        write_atomically(folder / "count", NEW)
    assert {"open", "write", "fsync", "replace"} <= set(made)
    return len(made)


@contextmanager
def suppress_full_disk() -> Iterator[list[str]]:
    """Yields a list that holds the error's text afterwards, or nothing."""
    failed: list[str] = []
    try:
        yield failed
    except OSError as error:
        failed.append(str(error))
    assert all("No space left" in text for text in failed)


def test_a_kill_at_any_system_call_leaves_the_old_bytes_or_the_new(tmp_path):
    seen = set()
    for at in range(1, calls_of_one_write(tmp_path) + 1):
        file = tmp_path / f"f{at}"
        file.write_bytes(OLD)

        def work(at: int = at, file: Path = file) -> None:
            with breaking(at, kill):
                write_atomically(file, NEW)

        assert in_child(work) == -signal.SIGKILL
        assert file.read_bytes() in (OLD, NEW)
        seen.add(file.read_bytes())
        write_atomically(file, NEW)
        assert file.read_bytes() == NEW
    assert seen == {OLD, NEW}
    left = [p.name for p in tmp_path.iterdir() if not p.name.startswith(("f", "count"))]
    assert left
    assert all(map(is_partial, left)), "what a kill leaves behind is known by its name"


def test_the_test_finds_a_file_written_in_place(tmp_path):
    """The same kills, over `open(..., "w")`: half a file."""
    file = tmp_path / "f"
    file.write_bytes(OLD)

    def work() -> None:
        with breaking(2, kill):
            descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC)
            os.write(descriptor, NEW)

    assert in_child(work) == -signal.SIGKILL
    assert file.read_bytes() not in (OLD, NEW)


def test_a_full_disk_changes_nothing_and_leaves_nothing(tmp_path):
    for at in range(1, calls_of_one_write(tmp_path) + 1):
        file = tmp_path / f"f{at}"
        file.write_bytes(OLD)
        with breaking(at, full_disk), suppress_full_disk() as failed:
            write_atomically(file, NEW)
        assert file.read_bytes() == (OLD if failed else NEW)
    assert not [p.name for p in tmp_path.iterdir() if is_partial(p.name)]


def test_permissions_and_links_stay(tmp_path):
    real = tmp_path / "real.py"
    real.write_bytes(OLD)
    real.chmod(0o741)
    link = tmp_path / "link.py"
    link.symlink_to("real.py")
    write_atomically(link, NEW)
    assert link.is_symlink()
    assert real.read_bytes() == NEW
    assert stat.S_IMODE(real.stat().st_mode) == 0o741
    dangling = tmp_path / "dangling"
    dangling.symlink_to("made")
    write_atomically(dangling, NEW)
    assert (tmp_path / "made").read_bytes() == NEW


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    write_atomically(tmp_path / "ours", NEW)
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_names_of_the_longest_length(tmp_path):
    file = tmp_path / ("n" * 255)
    write_atomically(file, NEW)
    assert file.read_bytes() == NEW


def test_a_read_only_file_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "f"
    file.write_bytes(OLD)
    file.chmod(0o444)
    if os.geteuid() == 0:  # root may write anything
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="Permission denied"):
        write_atomically(file, NEW)
    assert file.read_bytes() == OLD


def test_folders_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, NEW)
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "no" / "f", NEW)


def test_a_pipe_is_written_into(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, OLD)
    assert os.read(reader, 1000) == OLD
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_appending_and_making_folders(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "net.py").touch()
    with pytest.raises(SkipstoneError, match=r"a/net\.py is a file, expected a folder"):
        make_folder(tmp_path / "a" / "net.py")
    append_durably(tmp_path / "a" / "b" / "f", b"1\n")
    append_durably(tmp_path / "a" / "b" / "f", b"2\n")
    assert (tmp_path / "a" / "b" / "f").read_bytes() == b"1\n2\n"
