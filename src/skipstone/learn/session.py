"""What a student does in a folder: begin, read, check, ask for a hint, begin anew, give up. Texts for a terminal."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from skipstone.core.errors import SkipstoneError
from skipstone.core.files import write_atomically
from skipstone.learn import progress
from skipstone.learn.unit import NAMES, Unit, load
from skipstone.learn.verdict import Verdict

_POLL_SECONDS = 0.5


class Session:
    """A student's folder."""

    def __init__(self, folder: str | Path = ".") -> None:
        self.folder = Path(folder)

    def current(self, name: str | None = None) -> Unit:
        """The unit named, or the first that is not passed; the last where all are."""
        if name is not None:
            return load(name)
        done = progress.read(self.folder)
        left = [unit for unit in NAMES if not done.get(unit, progress.Entry()).passed]
        return load(left[0] if left else NAMES[-1])

    def all_passed(self) -> bool:
        done = progress.read(self.folder)
        return all(done.get(unit, progress.Entry()).passed for unit in NAMES)

    def path(self, unit: Unit) -> Path:
        return self.folder / unit.file_name

    def begin(self, unit: Unit, seed: int | None = None) -> bool:
        """Put the starter file there, unless there is a file already; whether it was put.

        Of a unit that is drawn everybody gets another one, unless a `seed` is given.
        """
        if self.path(unit).exists():
            return False
        drawn = secrets.randbelow(1_000_000) if unit.start is not None and seed is None else seed
        write_atomically(self.path(unit), unit.starter_of(drawn).encode())
        return True

    def check(self, unit: Unit) -> Verdict:
        """Judge the student's file and note the outcome.

        Raises:
            SkipstoneError: there is no such file yet.
        """
        if not self.path(unit).is_file():
            raise SkipstoneError(f"there is no {self.path(unit)} yet; skipstone learn next puts it there")
        from skipstone.learn import judging  # and torch with it, which reading a lesson does without

        verdict = judging.judge_file(unit, self.path(unit))
        progress.attempted(self.folder, unit.name, verdict.passed, verdict.message)
        return verdict

    def hint(self, unit: Unit) -> str:
        """The next hint, with those before it."""
        with progress.changing(self.folder, unit.name) as box:
            count = min(box[0].hints + 1, len(unit.hints))
            box[0] = replace(box[0], hints=count)
        total = len(unit.hints)
        shown = [f"{unit.name}, hint {i} of {total}: {text}" for i, text in enumerate(unit.hints[:count], start=1)]
        end = f"That was the last one. A solution: skipstone learn solution {unit.name} --give-up"
        return "\n".join([*shown, *[end] * (count == total)])

    def reset(self, unit: Unit, seed: int | None = None) -> Path | None:
        """The starter file anew; where the student's own was put, None if there was none.

        Raises:
            SkipstoneError: a seed for a unit that is the same for all.
        """
        if seed is not None and unit.start is None:
            raise SkipstoneError(f"{unit.name} is the same for all: it takes no --seed; silent-10 does")
        kept = None
        if self.path(unit).exists():
            kept = next(
                path for n in range(1, 10_000) if not (path := self.path(unit).with_suffix(f".old{n}")).exists()
            )
            self.path(unit).rename(kept)
        self.begin(unit, seed)
        return kept

    def solution(self, unit: Unit, *, give_up: bool = False) -> str:
        """The solution, for who has passed or gives up; the latter is noted.

        Raises:
            SkipstoneError: the unit is not passed, and nobody gave up.
        """
        if not progress.entry(self.folder, unit.name).passed:
            if not give_up:
                raise SkipstoneError(f"{unit.name} is not passed yet; to see its solution all the same, add --give-up")
            with progress.changing(self.folder, unit.name) as box:
                box[0] = replace(box[0], solution_seen=True)
        return unit.solution

    def watch(self, name: str | None = None) -> Iterator[tuple[Unit, Verdict]]:
        """Judge the file whenever it is saved, and go on to the next unit when it is passed; until all are."""
        while True:
            unit = self.current(name)
            self.begin(unit)
            verdict, seen = None, -1.0
            while verdict is None or not verdict.passed:
                changed = self._changed(unit)
                if changed != seen:
                    seen = changed
                    verdict = self.check(unit)
                    yield unit, verdict
                else:
                    time.sleep(_POLL_SECONDS)
            if name is not None or self.all_passed():
                return

    def _changed(self, unit: Unit) -> float:
        try:
            return self.path(unit).stat().st_mtime_ns
        except FileNotFoundError:  # an editor that writes a new file and renames it
            return -1.0


def lesson(unit: Unit) -> str:
    """The lesson, its picture and the exercise, as one page of text."""
    head = f"{unit.name}: {unit.title}"
    return "\n".join([
        head, "=" * len(head), "", unit.lesson, "", *_indented(unit.drawn()), "", "Exercise", "--------", "",
        unit.statement,
    ])  # fmt: skip


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]


def table(folder: Path) -> str:
    """A line a unit: passed or not, attempts, hints."""
    done = progress.read(folder)
    rows = []
    for name in NAMES:
        entry = done.get(name, progress.Entry())
        begun = entry.attempts or (folder / load(name).file_name).exists()
        state = "passed" if entry.passed else "begun" if begun else ""
        rows.append((name, load(name).title, state, str(entry.attempts or ""), str(entry.hints or "")))
    rows = [("unit", "", "state", "checks", "hints"), *rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    num_passed = sum(done.get(name, progress.Entry()).passed for name in NAMES)
    return "\n".join([*texts, "", f"{num_passed} of {len(NAMES)} passed"])
