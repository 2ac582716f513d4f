"""The run folder as the trainer writes it: never overwritten, whole after a crash at any moment.

A folder holds *work* once a checkpoint is in it. Before that there is nothing to lose, and whoever comes next takes it
over; after that it is only ever continued. Lines are appended first and the checkpoint replaced after them, so that
whatever lies beyond the checkpoint's epoch is cut off when the run resumes. The checkpoint before the newest is kept,
for the day on which the newest cannot be read.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from skipstone.core.codec import Json, RecordError
from skipstone.core.errors import SkipstoneError
from skipstone.core.files import append_durably, is_partial, make_folder, sync_folder, write_atomically
from skipstone.core.lock import Lock, is_taken
from skipstone.runs.environment import changed
from skipstone.runs.flow import FlowRecord
from skipstone.runs.records import (
    BEST_FILE,
    CHECKPOINT_FILE,
    ENVIRONMENT_FILE,
    FLOW_FILE,
    METRICS_FILE,
    PREVIOUS_FILE,
    RESULT_FILE,
    SPEC_FILE,
    EpochRecord,
    RunRecord,
    RunResult,
    RunSpec,
    read_leading_lines,
    read_run,
)

MAY_DIFFER = ("out", "data_dir", "device", "devices")
"""What a resumed run may be given otherwise: where things lie, not what is computed."""

_LOCK_FILE = ".lock"
_NEXT_FILE = "checkpoint.next.pt"
"""A whole checkpoint that has not taken its name yet; seen only where a process was killed between two renames."""

_CHECKPOINTS = (_NEXT_FILE, CHECKPOINT_FILE, PREVIOUS_FILE)
_OURS = {SPEC_FILE, ENVIRONMENT_FILE, METRICS_FILE, FLOW_FILE, RESULT_FILE, BEST_FILE, _LOCK_FILE, *_CHECKPOINTS}


class FolderError(SkipstoneError):
    """A run folder that cannot be used as asked."""


def holds_work(path: Path) -> bool:
    """Would something be lost if this folder were begun anew? A checkpoint or a result would."""
    return any((path / name).is_file() for name in (RESULT_FILE, *_CHECKPOINTS))


def demand_free(path: Path) -> None:
    """Refuse a folder that holds work, or files that are not a run's; `FolderError` says how to go on."""
    if path.exists() and not path.is_dir():
        raise FolderError(f"{path} is a file, expected a new folder")
    if holds_work(path):
        raise FolderError(f"{path} holds a run already; continue it with --resume, or choose another --out")
    if path.is_dir() and (others := sorted(p.name for p in path.iterdir() if not _is_ours(p.name))):
        raise FolderError(f"{path} is not empty and holds no run; choose another --out (found {others[0]})")


def demand_only_a_run(path: Path) -> None:
    """Refuse a folder that holds files which are not a run's; `FolderError` names the first."""
    if others := sorted(p.name for p in path.iterdir() if not _is_ours(p.name)):
        raise FolderError(f"{path} holds {others[0]}, which is no file of a run")


def is_held(path: Path) -> bool:
    """Is a process writing this run? Nothing is changed to find out."""
    return is_taken(path / _LOCK_FILE)


def differences(record: RunRecord, spec: RunSpec) -> dict[str, tuple[object, object]]:
    """Where the folder's run is another than `spec` asks for: field -> (there, here), but for `MAY_DIFFER`."""
    there, here = record.spec.to_dict(), spec.to_dict()
    return {k: (there[k], here[k]) for k in here if k not in MAY_DIFFER and there[k] != here[k]}


def demand_same(record: RunRecord, spec: RunSpec) -> None:
    """Refuse to continue the run of another spec; `FolderError` names what differs."""
    if found := differences(record, spec):
        said = "; ".join(f"{key} is {there!r} there, {here!r} here" for key, (there, here) in found.items())
        raise FolderError(f"{record.folder} holds the run of another spec: {said}")


class RunFolder:
    """One run's files, held by this process alone while it trains."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: Lock | None = None

    def create(self, spec: RunSpec, environment: Json) -> None:
        """Claim the folder, clear away what a run that came to nothing left, write the environment and the spec."""
        demand_free(self.path)
        with self._told():
            make_folder(self.path)
        self.hold()
        demand_free(self.path)  # again, now that nobody else can write
        with self._told():
            for name in (FLOW_FILE, METRICS_FILE):
                (self.path / name).unlink(missing_ok=True)
            write_atomically(self.path / ENVIRONMENT_FILE, _text(environment))
            write_atomically(self.path / SPEC_FILE, _text(spec.to_dict()))

    def hold(self) -> None:
        """Keep other processes from writing here; the system lets go when this process ends, however it ends."""
        lock = Lock(self.path / _LOCK_FILE)
        with self._told():
            taken = lock.take()
        if not taken:
            raise FolderError(f"{self.path} is being written by another process")
        self._lock = lock
        with self._told():
            for path in self.path.iterdir():
                if is_partial(path.name):
                    path.unlink()
            self._take_names()

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def resume(self, epoch: int, environment: Json) -> RunRecord:
        """Cut everything after `epoch` off and note in the environment that, and how, the run went on.

        What stands after that epoch's lines may be anything: a half-written line, or what a dying disk made of it.
        """
        kept = read_leading_lines(EpochRecord, self.path / METRICS_FILE, lambda e: e.epoch <= epoch)
        if len(kept) != epoch:
            raise FolderError(f"{self.path / METRICS_FILE} has {len(kept)} epochs, expected the checkpoint's {epoch}")
        flow = read_leading_lines(FlowRecord, self.path / FLOW_FILE, lambda f: f.epoch <= epoch and epoch > 0)
        with self._told():
            write_atomically(self.path / METRICS_FILE, _lines(kept))
            write_atomically(self.path / FLOW_FILE, _lines(flow))
            before = read_run(self.path).environment
            resumed = [*before.get("resumed", []), {"epochs_done": epoch, "changed": changed(before, environment)}]
            write_atomically(self.path / ENVIRONMENT_FILE, _text({**environment, **before, "resumed": resumed}))
        return read_run(self.path)

    def append(self, epoch: EpochRecord, flow: Sequence[FlowRecord]) -> None:
        """Add an epoch's lines."""
        with self._told():
            append_durably(self.path / FLOW_FILE, _lines(flow))
            append_durably(self.path / METRICS_FILE, _lines([epoch]))

    def keep(self, checkpoint: bytes) -> None:
        """Make this the newest checkpoint and the newest of before the previous one; at no moment is there none."""
        with self._told():
            write_atomically(self.path / _NEXT_FILE, checkpoint)
            self._take_names()

    def keep_best(self, checkpoint: bytes) -> None:
        """The checkpoint that early stopping will go back to; written after `keep`, which a resumed run relies on."""
        with self._told():
            write_atomically(self.path / BEST_FILE, checkpoint)

    def _take_names(self) -> None:
        """A checkpoint that is whole and not yet the newest by name becomes it."""
        waiting, newest = self.path / _NEXT_FILE, self.path / CHECKPOINT_FILE
        if waiting.is_file():
            if newest.is_file():
                os.replace(newest, self.path / PREVIOUS_FILE)
            os.replace(waiting, newest)
            sync_folder(self.path)

    def checkpoints(self) -> list[Path]:
        """What there is to go on from, the newest first."""
        return [path for name in _CHECKPOINTS if (path := self.path / name).is_file()]

    def remove(self) -> None:
        """Delete the folder, which must hold nothing but the run; the spec last, so that half a removal is a run."""
        demand_only_a_run(self.path)
        with self._told():
            for path in sorted(self.path.iterdir(), key=lambda p: (p.name == SPEC_FILE, p.name)):
                path.unlink()
            self.path.rmdir()

    def finish(self, result: RunResult) -> None:
        with self._told():
            write_atomically(self.path / RESULT_FILE, _text(result.to_dict()))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """A full disk or a folder that may not be written, in one line; what was finished is there as it was."""
        try:
            yield
        except OSError as error:
            kept = "; what the run had finished is kept, and --resume goes on from it" if holds_work(self.path) else ""
            what = error.filename or self.path
            raise FolderError(f"{what} cannot be written: {error.strerror or error}{kept}") from error


def read_asked(path: Path) -> RunSpec:
    """The spec of the run in a folder, to go on with it.

    Raises:
        FolderError: there is no run, or one that was cut off before its spec was whole.
    """
    if not (path / SPEC_FILE).is_file():
        raise FolderError(f"{path} holds no run to resume; start one without --resume")
    try:
        return read_run(path).spec
    except RecordError as error:
        if holds_work(path):
            raise
        raise FolderError(
            f"{path} holds a run that came to nothing, and its {SPEC_FILE} cannot be read; start it without --resume"
        ) from error


def _is_ours(name: str) -> bool:
    return name in _OURS or is_partial(name) or name.endswith(".partial")


def _lines(records: Sequence[EpochRecord] | Sequence[FlowRecord]) -> bytes:
    return "".join(json.dumps(record.to_dict()) + "\n" for record in records).encode()


def _text(data: Json) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()
