"""What a grader says: points right and points wrong, each in words, a wrong one with the student's own line."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from skipstone.core.as_text import pretty_as_text
from skipstone.core.errors import printable

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers

_MARKS = {True: "right", False: "wrong", None: "-----"}


class Wrong(Exception):  # noqa: N818 - nothing failed: it is a verdict
    """Ends a grader, or its part (`in_parts`): nothing behind can be judged. `line` is the student's."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text, self.line = text, line


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was judged: is it right, in words, where it stands (a line of the student's, from 1), a score.

    `right` is None for what could not be judged here; it takes no part in the outcome.
    """

    right: bool | None
    text: str
    line: int | None = None
    score: float | None = None


def right(text: str) -> Point:
    return Point(True, text)


def wrong(text: str, line: int | None = None) -> Point:
    return Point(False, text, line)


def not_judged(text: str) -> Point:
    return Point(None, text)


@dataclass(frozen=True)
class Verdict:
    """The outcome of one answer: prints as text. `printed` is what the student's own code printed, never a part of it.

    `score` is a number where a unit has one (of the open one: the mean accuracy), else None.
    """

    unit: str
    file: str
    points: tuple[Point, ...]
    printed: str = ""
    score: float | None = None

    @property
    def passed(self) -> bool:
        judged = [point.right for point in self.points if point.right is not None]
        return bool(judged) and all(judged)

    @property
    def message(self) -> str:
        """The first wrong point in one line; empty where all is right."""
        first = next((point for point in self.points if point.right is False), None)
        if first is None:
            return ""
        return self._where(first) + printable(" ".join(first.text.split()))

    def __str__(self) -> str:
        judged = [point.right for point in self.points if point.right is not None]
        lines = [f"{self.unit}: {'passed' if self.passed else 'not yet'}, {sum(judged)} of {len(judged)} right", ""]
        for point in sorted(self.points, key=lambda point: [True, None, False].index(point.right)):
            where = self._where(point) if point.right is False else ""
            mark = _MARKS[point.right]
            first, *rest = printable(f"{where}{point.text}").splitlines() or [""]
            lines += [f"  {mark}  {first}", *(f"         {line}" for line in rest)]
        if self.printed.strip():
            shown = printable(self.printed.strip().replace("\r\n", "\n")).splitlines()
            lines += ["", "your code printed:", *(f"  | {line}" for line in shown[:20])]
            lines += [f"  | ... and {len(shown) - 20} lines more"] if len(shown) > 20 else []
        return "\n".join(lines)

    def _where(self, point: Point) -> str:
        return f"{self.file or 'line'}:{point.line}: " if point.line else ""

    _repr_pretty_ = pretty_as_text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def in_parts(answers: "Answers", *parts: "Callable[[Answers], Point | Iterable[Point]]") -> Iterator[Point]:
    """The points of several parts of an exercise: one that can't be judged to its end takes nothing from the others."""
    for part in parts:
        try:
            found = part(answers)
            yield from (found,) if isinstance(found, Point) else found
        except Wrong as end:
            yield wrong(end.text, end.line)


def verdict_of(unit: str, file: str, points: Iterable[Point], printed: str = "") -> Verdict:
    """Run a grader to its end, or to where it says that nothing further can be judged."""
    found: list[Point] = []
    try:
        for point in points:
            found.append(point)
    except Wrong as end:
        found.append(wrong(end.text, end.line))
    score = next((point.score for point in found if point.score is not None), None)
    return Verdict(unit, file, tuple(dict.fromkeys(found)), printed, score)  # what is wrong twice is told once
