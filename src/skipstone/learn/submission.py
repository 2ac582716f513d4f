"""From a student's file to facts: start the process that runs it, bound it, read what comes back as data."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skipstone.learn.asks import Ask, to_wire

SECONDS = 10
_LARGEST = 64 << 20  # bytes of answers that are read
_LIMITS = {"memory": 2 << 30, "file_size": 64 << 20, "processes": 64}


@dataclass(frozen=True)
class Facts:
    """What came back of one file: an answer for each ask, unread, and how the process ended.

    `failure` is what ended the file itself, before it was asked anything; `ended` is empty where the process came to
    its end by itself, else how it did not.
    """

    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    failure: dict[str, Any] | None = None
    ended: str = ""
    printed: str = ""
    walls: tuple[str, ...] = ()


@contextmanager
def _folder(source: bytes, name: str) -> Iterator[Path]:
    """A folder of its own for one run: the student's file, room for its files, what it answers and prints."""
    folder = Path(tempfile.mkdtemp(prefix="skipstone-learn-"))
    try:
        (folder / "work").mkdir()
        (folder / "work" / name).write_bytes(source)
        (folder / "answers").touch()
        (folder / "printed").touch()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _request(folder: Path, name: str, asks: Sequence[Ask], seconds: int) -> dict[str, Any]:
    work = folder / "work"
    return {
        "path": str(work / name), "work": str(work), "asks": to_wire(asks), "limits": {"seconds": seconds, **_LIMITS},
        "answers": str(folder / "answers"), "printed": str(folder / "printed"), "wall_seconds": 4 * seconds + 60,
    }  # fmt: skip


def run_source(source: bytes, name: str, asks: Sequence[Ask], *, seconds: int = SECONDS) -> Facts:
    """Run a student's file, given as bytes, in a process of its own; `name` is what it is called in messages."""
    with _folder(source, name) as folder:
        request = _request(folder, name, asks, seconds)
        with (folder / "answers").open("ab") as answers, (folder / "printed").open("ab") as printed:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "skipstone.learn.student"],
                stdin=subprocess.PIPE, stdout=answers, stderr=printed, env=_environment(), cwd=folder / "work",
                start_new_session=hasattr(os, "setsid"),
            )  # fmt: skip
            try:
                process.communicate(json.dumps(request).encode() + b"\n", timeout=request["wall_seconds"])
                status: int | None = process.returncode
            except subprocess.TimeoutExpired:
                status = None
            finally:
                _end(process)
        return _facts(folder, status)


class Server:
    """A process that has imported torch, and forks one for each student's file. For a whole class; not on Windows."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, source: bytes, name: str, asks: Sequence[Ask], *, seconds: int = SECONDS) -> Facts:
        """As `run_source`."""
        with _folder(source, name) as folder:
            request = _request(folder, name, asks, seconds)
            return _facts(folder, self._asked(request))

    def _asked(self, request: dict[str, Any]) -> int | None:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "skipstone.learn.student", "serve"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(),
            )  # fmt: skip
            self._line()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        status: int | None = self._line()["status"]
        return status

    def _line(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"status": None}

    def close(self) -> None:
        if self._process is not None:
            _end(self._process)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The process and, where there are such groups, all it started."""
    if hasattr(os, "killpg"):
        import signal

        try:
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    if process.poll() is None:
        process.kill()
    process.wait()


def _environment() -> dict[str, str]:
    """Nothing of the session's own but where Python finds its modules; of Keras not the user's settings either."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR") if name in os.environ}
    paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
    return {
        **kept, "PYTHONPATH": paths, "KERAS_BACKEND": "torch", "KERAS_HOME": os.path.join(os.devnull, "keras"),
        "PYTHONHASHSEED": "0", "PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
    }  # fmt: skip


def _facts(folder: Path, status: int | None) -> Facts:
    with (folder / "printed").open("rb") as file:
        printed = file.read(100_000).decode("utf-8", "replace")
    with (folder / "answers").open("rb") as file:
        rows = list(_rows(file.read(_LARGEST)))
    answers: dict[int, dict[str, Any]] = {}
    failure: dict[str, Any] | None = None
    ended, walls = "", tuple[str, ...]()
    whole = False
    for row in rows:
        if isinstance(row.get("ask"), int):
            answers.setdefault(row["ask"], row)
        elif "trouble" in row and failure is None and isinstance(row["trouble"], dict):
            failure = row["trouble"]
        elif "walls" in row and not walls:
            walls = tuple(map(str, row["walls"]))
        elif "end" in row:
            whole = True
    if not whole and failure is None:
        ended = _how(status, bool(rows))
    return Facts(answers, failure, ended, printed, walls)


def _rows(data: bytes) -> Iterator[dict[str, Any]]:
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def _how(status: int | None, begun: bool) -> str:
    if status is None:
        return "it did not end by itself and was ended"
    if status < 0:
        return f"it was ended by the system (signal {-status}): it used more time or memory than it may"
    if not begun:
        return f"it could not be started (status {status})"
    return f"it ended its own process (status {status}) before it had answered"
