"""The run folder as the trainer writes it: never overwritten, whole after a crash at any moment.

Lines are appended first and the checkpoint replaced after them, so that whatever lies beyond the checkpoint's epoch is
cut off when the run resumes.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from skipstone.core.codec import Json
from skipstone.core.errors import SkipstoneError
from skipstone.runs.environment import changed
from skipstone.runs.records import (
    CHECKPOINT_FILE,
    ENVIRONMENT_FILE,
    FLOW_FILE,
    METRICS_FILE,
    RESULT_FILE,
    SPEC_FILE,
    EpochRecord,
    FlowRecord,
    RunRecord,
    RunResult,
    RunSpec,
    read_run,
)

MAY_DIFFER = ("out", "data_dir", "device")
"""What a resumed run may be given otherwise: where things lie, not what is computed."""


class FolderError(SkipstoneError):
    """A run folder that cannot be used as asked."""


def demand_free(path: Path) -> None:
    """Refuse a folder that holds anything; `FolderError` says how to go on."""
    if (path / SPEC_FILE).exists():
        raise FolderError(f"{path} holds a run already; continue it with --resume, or choose another --out")
    if path.exists() and not path.is_dir():
        raise FolderError(f"{path} is a file, expected a new folder")
    if path.is_dir() and any(path.iterdir()):
        raise FolderError(f"{path} is not empty and holds no run; choose another --out")


def demand_same(record: RunRecord, spec: RunSpec) -> None:
    """Refuse to continue the run of another spec; `FolderError` names what differs."""
    there, here = record.spec.to_dict(), spec.to_dict()
    differing = [key for key in here if key not in MAY_DIFFER and there[key] != here[key]]
    if differing:
        said = "; ".join(f"{key} is {there[key]!r} there, {here[key]!r} here" for key in differing)
        raise FolderError(f"{record.folder} holds the run of another spec: {said}")


class RunFolder:
    """One run's files, held by this process alone while it trains."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / CHECKPOINT_FILE
        self._lock: IO[str] | None = None

    def create(self, spec: RunSpec, environment: Json) -> None:
        """Claim the folder and write the spec and the environment."""
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with (self.path / SPEC_FILE).open("x", encoding="utf-8") as file:
                file.write(_text(spec.to_dict()))
        except FileExistsError:
            demand_free(self.path)
        self.hold()
        write_whole(self.path / ENVIRONMENT_FILE, _text(environment))

    def hold(self) -> None:
        """Keep other processes from writing here; the system lets go when this process ends, however it ends."""
        try:
            import fcntl
        except ImportError:  # Windows: no such lock, and nothing lost but the warning
            return
        self._lock = (self.path / SPEC_FILE).open(encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise FolderError(f"{self.path} is being written by another process") from error

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def resume(self, epoch: int, environment: Json) -> RunRecord:
        """Cut everything after `epoch` off and note in the environment that, and how, the run went on."""
        record = read_run(self.path)
        kept = [e for e in record.epochs if e.epoch <= epoch]
        if len(kept) != epoch:
            raise FolderError(f"{self.path / METRICS_FILE} has {len(kept)} epochs, expected the checkpoint's {epoch}")
        write_whole(self.path / METRICS_FILE, _lines(kept))
        write_whole(self.path / FLOW_FILE, _lines([f for f in record.flow if f.epoch <= epoch and epoch > 0]))
        before = record.environment
        resumed = [*before.get("resumed", []), {"epochs_done": epoch, "changed": changed(before, environment)}]
        write_whole(self.path / ENVIRONMENT_FILE, _text({**environment, **before, "resumed": resumed}))
        return read_run(self.path)

    def append(self, epoch: EpochRecord, flow: Sequence[FlowRecord]) -> None:
        """Add an epoch's lines."""
        _append(self.path / FLOW_FILE, _lines(flow))
        _append(self.path / METRICS_FILE, _lines([epoch]))

    def finish(self, result: RunResult) -> None:
        write_whole(self.path / RESULT_FILE, _text(result.to_dict()))


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all, also if the machine stops."""
    partial = partial_path(path)
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def partial_path(path: Path) -> Path:
    """Where a file is written before it replaces `path`."""
    return path.with_name(path.name + ".partial")


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _lines(records: Sequence[EpochRecord] | Sequence[FlowRecord]) -> str:
    return "".join(json.dumps(record.to_dict()) + "\n" for record in records)


def _text(data: Json) -> str:
    return json.dumps(data, indent=1) + "\n"
