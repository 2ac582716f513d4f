"""One holder at a time, none once its process has gone, and no obstacle where a file system keeps no locks."""

import errno
import fcntl
import subprocess
import sys
import time

import pytest

from skipstone.core.lock import Lock, is_taken


def test_one_at_a_time(tmp_path):
    first, second = Lock(tmp_path / "l"), Lock(tmp_path / "l")
    assert not is_taken(tmp_path / "l")
    assert first.take()
    assert is_taken(tmp_path / "l")
    assert not second.take()
    first.release()
    assert second.take()
    second.release()


def test_it_goes_with_its_process_and_patience_waits_for_that(tmp_path):
    held = "import sys, time, pathlib; from skipstone.core.lock import Lock; "
    held += f"assert Lock(pathlib.Path({str(tmp_path / 'l')!r})).take(); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", held], stdout=subprocess.PIPE)
    process.stdout.readline()
    lock = Lock(tmp_path / "l")
    began = time.monotonic()
    assert not lock.take(0.1)
    assert time.monotonic() - began >= 0.1
    process.kill()
    assert lock.take(20)
    lock.release()
    process.communicate()


@pytest.mark.parametrize("answer", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_no_locks_are_kept_everybody_may_go_on(tmp_path, monkeypatch, answer):
    def refused(descriptor, how):
        raise OSError(answer, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refused)
    lock = Lock(tmp_path / "l")
    assert lock.take()
    assert not is_taken(tmp_path / "l")
    lock.release()
