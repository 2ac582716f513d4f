"""The progress file: whole after any end, shared by two terminals, kept across versions."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from skipstone.learn import progress


def _attempt(folder, count):
    for _ in range(count):
        progress.attempted(folder, "shapes-1", False, "no")


def test_two_terminals_lose_nothing_of_each_other(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_attempt, args=(tmp_path, 15)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert progress.entry(tmp_path, "shapes-1").attempts == 30


def test_a_killed_process_leaves_a_whole_file_and_no_lock(tmp_path):
    code = (
        "import sys; from pathlib import Path; from skipstone.learn import progress\n"
        "while True: progress.attempted(Path(sys.argv[1]), 'shapes-1', False, 'no' * 5000)"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
        while not (tmp_path / progress.FILE).exists():
            time.sleep(0.01)
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        before = progress.entry(tmp_path, "shapes-1").attempts
        progress.attempted(tmp_path, "shapes-1", True, "")
        assert progress.entry(tmp_path, "shapes-1").attempts == before + 1


def test_what_was_passed_once_stays_passed(tmp_path):
    progress.attempted(tmp_path, "wire-2", True, "")
    progress.attempted(tmp_path, "wire-2", False, "broken again")
    entry = progress.entry(tmp_path, "wire-2")
    assert entry.passed
    assert entry.message == "broken again"


def test_what_another_version_wrote_stays(tmp_path):
    theirs = {"version": 7, "name": "Ada", "units": {"new-99": {"passed": True, "stars": 3}, "wire-2": {"stars": 1}}}
    (tmp_path / progress.FILE).write_text(json.dumps(theirs))
    progress.attempted(tmp_path, "wire-2", True, "")
    data = json.loads((tmp_path / progress.FILE).read_text())
    assert data["name"] == "Ada"
    assert data["units"]["new-99"] == {"passed": True, "stars": 3}
    assert data["units"]["wire-2"]["stars"] == 1
    assert progress.entry(tmp_path, "wire-2").passed


@pytest.mark.parametrize("text", ["{", "[]", '{"units": 3}'])
def test_a_damaged_file_is_said_and_not_overwritten(tmp_path, text):
    (tmp_path / progress.FILE).write_text(text)
    with pytest.raises(progress.ProgressError, match="to begin anew"):
        progress.attempted(tmp_path, "wire-2", True, "")
    assert (tmp_path / progress.FILE).read_text() == text
