"""What a grader says: points right and points wrong, each in words, a wrong one with the student's own line."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

RIGHT, WRONG = "right", "wrong"


class Wrong(Exception):  # noqa: N818 - nothing failed: it is a verdict
    """Ends a grader: nothing behind this point can be judged. `line` is the student's."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text, self.line = text, line


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was judged: is it right, in words, where it stands (a line of the student's, from 1), a score."""

    right: bool
    text: str
    line: int | None = None
    score: float | None = None


def right(text: str) -> Point:
    return Point(True, text)


def wrong(text: str, line: int | None = None) -> Point:
    return Point(False, text, line)


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
        return bool(self.points) and all(point.right for point in self.points)

    @property
    def message(self) -> str:
        """The first wrong point in one line; empty where all is right."""
        first = next((point for point in self.points if not point.right), None)
        if first is None:
            return ""
        return self._where(first) + " ".join(first.text.split())

    def __str__(self) -> str:
        num_right = sum(point.right for point in self.points)
        lines = [f"{self.unit}: {'passed' if self.passed else 'not yet'}, {num_right} of {len(self.points)} right", ""]
        for point in sorted(self.points, key=lambda point: not point.right):
            where = "" if point.right else self._where(point)
            mark = RIGHT if point.right else WRONG
            first, *rest = f"{where}{point.text}".splitlines() or [""]
            lines += [f"  {mark}  {first}", *(f"         {line}" for line in rest)]
        if self.printed.strip():
            shown = self.printed.strip().splitlines()
            lines += ["", "your code printed:", *(f"  | {line}" for line in shown[:20])]
            lines += [f"  | ... and {len(shown) - 20} lines more"] if len(shown) > 20 else []
        return "\n".join(lines)

    def _where(self, point: Point) -> str:
        return f"{self.file or 'line'}:{point.line}: " if point.line else ""

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


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
