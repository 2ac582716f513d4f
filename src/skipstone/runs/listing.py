"""Runs found under a folder: one line each, whatever state they are in, without torch."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from skipstone.core.codec import Json, RecordError, encode
from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.runs.folder import RunFolder, demand_only_a_run, holds_work, is_held
from skipstone.runs.records import SPEC_FILE, RunResult, read_run

State = Literal["finished", "cut", "running", "begun", "unreadable"]


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run at a glance.

    `state`: finished; cut, to be gone on with; running, held by a process; begun, without a finished epoch; unreadable,
    `note` says why. Accuracies are fractions, of the last epoch and of the test images; None where there are none yet.
    """

    folder: str
    state: State
    model: str = ""
    variant: str = ""
    data: str = ""
    seed: int | None = None
    epochs_done: int = 0
    epochs: int = 0
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    num_parameters: int | None = None
    wall_seconds: float | None = None
    note: str = ""

    def to_dict(self) -> Json:
        return encode(self)


def find_runs(
    under: str | Path,
    where: Mapping[str, str] | None = None,
    passed_over: Callable[[OSError], object] = lambda error: None,
) -> list[RunLine]:
    """Every run in `under` or below it, by folder; `where` keeps those whose fields have these texts.

    A folder that cannot be looked into is passed over, and `passed_over` told of it.

    Raises:
        SkipstoneError: there is no such folder, or no such field.
    """
    root = Path(under)
    if not root.is_dir():
        raise SkipstoneError(f"{root} is no folder")
    fields = RunLine.__dataclass_fields__
    for name in where or {}:
        if name not in fields:
            raise UnknownNameError("field of a run", name, fields)
    walk = os.walk(root, onerror=passed_over)
    lines = [_line(folder) for folder in sorted(Path(path) for path, _, files in walk if SPEC_FILE in files)]
    return [line for line in lines if all(_text(getattr(line, key)) == text for key, text in (where or {}).items())]


def delete_runs(lines: Sequence[RunLine]) -> None:
    """Remove these runs' folders, each whole, after it is known that none is running or holds anything else.

    Raises:
        FolderError: a run is being written, or its folder holds files that are not a run's. Nothing is removed then.
    """
    held = []
    try:
        for line in lines:
            demand_only_a_run(Path(line.folder))
            folder = RunFolder(Path(line.folder))
            folder.hold()
            held.append(folder)
        for folder in held:
            folder.remove()
    finally:
        for folder in held:
            folder.release()


def _line(path: Path) -> RunLine:
    try:
        record = read_run(path, flow=False)
    except RecordError as error:
        return RunLine(str(path), "unreadable", note=str(error))
    except OSError as error:
        return RunLine(str(path), "unreadable", note=f"{path}: {error.strerror}")
    spec, result, last = record.spec, record.result, record.epochs[-1] if record.epochs else None
    return RunLine(
        folder=str(path),
        state=_state(path, finished=result is not None),
        model=spec.model,
        variant=spec.variant,
        data=spec.data,
        seed=spec.seed,
        epochs_done=len(record.epochs),
        epochs=spec.epochs,
        val_accuracy=last.val_accuracy if last else None,
        test_accuracy=result.test_accuracy if result and spec.test else None,
        num_parameters=result.num_parameters if result else None,
        wall_seconds=result.wall_seconds if result else sum(epoch.seconds for epoch in record.epochs),
        note=_note(result) if result else "",
    )


def _note(result: RunResult) -> str:
    return ", ".join(filter(None, ("" if result.finite else "diverged", result.stopped and f"by {result.stopped}")))


def _state(path: Path, *, finished: bool) -> State:
    if finished:
        return "finished"
    if is_held(path):
        return "running"
    return "cut" if holds_work(path) else "begun"


def _text(value: object) -> str:
    return "" if value is None else str(value)
