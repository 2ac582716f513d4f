"""How far a student has come: one file in the student's folder, whole at every moment, safe with two terminals.

What another version of this package has written and this one does not know stays in the file.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skipstone.core.errors import SkipstoneError
from skipstone.core.files import write_atomically
from skipstone.core.lock import Lock

FILE = "skipstone-learn.json"
_LOCK = ".skipstone-learn.lock"
_VERSION = 1
_PATIENCE = 20.0


class ProgressError(SkipstoneError):
    """The progress file can't be read or is held by another process; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One unit's progress. `message` is the first thing that was wrong at the last check, "" where it passed."""

    passed: bool = False
    attempts: int = 0
    hints: int = 0
    solution_seen: bool = False
    message: str = ""


def read(folder: Path) -> dict[str, Entry]:
    """Each unit's entry; units never touched have none."""
    return {name: _entry(data) for name, data in _load(folder)["units"].items()}


def entry(folder: Path, unit: str) -> Entry:
    return read(folder).get(unit, Entry())


@contextmanager
def changing(folder: Path, unit: str) -> Iterator[list[Entry]]:
    """Change one unit's entry: `with changing(...) as box: box[0] = ...`. Nobody else writes meanwhile."""
    with _locked(folder):
        data = _load(folder)
        before = _entry(data["units"].get(unit, {}))
        box = [before]
        yield box
        if box[0] != before:
            known = {name: getattr(box[0], name) for name in Entry.__dataclass_fields__}
            data["units"][unit] = {**data["units"].get(unit, {}), **known}
            text = json.dumps({**data, "version": _VERSION}, indent=1)
            write_atomically(folder / FILE, f"{text}\n".encode())


def attempted(folder: Path, unit: str, passed: bool, message: str) -> None:
    """Note a check. What was passed once stays passed."""
    with changing(folder, unit) as box:
        was = box[0]
        box[0] = replace(was, passed=was.passed or passed, attempts=was.attempts + 1, message=message)


def _load(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {"units": {}}
    except ValueError as error:
        raise ProgressError(f"{path} is no JSON ({error}); mend it, or remove it to begin anew") from error
    if not isinstance(data, dict) or not isinstance(data.get("units"), dict):
        raise ProgressError(f"{path} is no progress file of skipstone's; move it away to begin anew")
    return data


def _entry(data: Any) -> Entry:
    """What this version knows of it; a value of another type is as if it were not there."""
    if not isinstance(data, dict):
        return Entry()
    kinds = {name: type(getattr(Entry(), name)) for name in Entry.__dataclass_fields__}
    return Entry(**{name: data[name] for name, kind in kinds.items() if type(data.get(name)) is kind})


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = Lock(folder / _LOCK)
    if not lock.take(_PATIENCE):
        raise ProgressError(f"another skipstone writes {folder / FILE}; wait for it to end")
    try:
        yield
    finally:
        lock.release()
