"""A class: every student's folder of submissions to a table, and submissions that are nearly the same.

FOLDER/ada/shapes_1.py, FOLDER/ada/wire_2.py, FOLDER/ada/skipstone-learn.json, FOLDER/grace/...
"""

import atexit
import csv
import io
import json
import keyword
import os
import tokenize
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path

from skipstone.core.errors import SkipstoneError
from skipstone.learn import progress
from skipstone.learn.judging import judge_source
from skipstone.learn.submission import Server, run_source
from skipstone.learn.unit import NAMES, load
from skipstone.learn.verdict import Verdict, wrong

_SHINGLE = 5  # tokens that are looked at together
NEAR = 0.9
"""Two submissions are near-identical where they share this part of what goes beyond starter and expected answers."""


@dataclass(frozen=True, slots=True)
class Row:
    """One student's one unit. `near` names the students whose submission is nearly the same."""

    student: str
    unit: str
    passed: bool
    submitted: bool
    attempts: int
    hints: int
    solution_seen: bool
    score: float | None
    message: str
    near: str = ""


def grade(
    folder: str | Path,
    *,
    names: Sequence[str] = NAMES,
    workers: int | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Row, ...]:
    """Judge every submission in `folder`, one folder a student.

    Args:
        folder: holds a folder for each student.
        names: the units, by name.
        workers: how many are judged at once; by default as many as there are cores.
        told: is called after each submission with how many are done, of how many.

    The same submission always gets the same grade; bytes that several students handed in are judged once. A submission
    that crashes or loops costs only itself.

    Raises:
        SkipstoneError: the folder holds no student's folder.
    """
    students = sorted(path for path in Path(folder).iterdir() if path.is_dir() and not path.name.startswith("."))
    if not students:
        raise SkipstoneError(f"{folder} holds no folder; give one that holds a folder for each student")
    handed_in = {
        (student.name, name): path.read_bytes()
        for student in students
        for name in names
        if (path := student / load(name).file_name).is_file()
    }
    work = sorted({(name, source) for (_, name), source in handed_in.items()})
    verdicts = dict(_judged(work, workers or os.cpu_count() or 1, told))
    near = _near(handed_in)
    return tuple(
        _row(student, name, handed_in.get((student.name, name)), verdicts, near)
        for student in students
        for name in names
    )


Work = tuple[str, bytes]


def _judged(work: Sequence[Work], workers: int, told: Callable[[int, int], None]) -> Iterator[tuple[Work, Verdict]]:
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done, (item, verdict) in enumerate(zip(work, pool.map(_judge, work), strict=True), start=1):
            told(done, len(work))
            yield item, verdict


_server: list[Server] = []  # one for each worker process


def _judge(item: Work) -> Verdict:
    """In a worker: one submission, in a process forked from this worker's server where the system forks."""
    name, source = item
    unit = load(name)
    if not _server:
        import torch

        torch.set_num_threads(1)
        _server.append(Server())
        atexit.register(_server[0].close)
    try:
        return judge_source(unit, source, _server[0].run if hasattr(os, "fork") else run_source)
    except Exception as error:  # noqa: BLE001 - a submission that breaks a grader must not cost the others theirs
        return Verdict(name, unit.file_name, (wrong(f"could not be judged: {type(error).__name__}: {error}"),))


def _row(
    student: Path, name: str, source: bytes | None, verdicts: dict[Work, Verdict], near: dict[tuple[str, str], set[str]]
) -> Row:
    try:
        entry = progress.entry(student, name)
    except SkipstoneError:  # a student's progress file is the student's word, and no part of the grade
        entry = progress.Entry()
    verdict = None if source is None else verdicts[name, source]
    return Row(
        student=student.name,
        unit=name,
        passed=verdict is not None and verdict.passed,
        submitted=source is not None,
        attempts=entry.attempts,
        hints=entry.hints,
        solution_seen=entry.solution_seen,
        score=None if verdict is None else verdict.score,
        message="not handed in" if verdict is None else verdict.message,
        near=" ".join(sorted(near.get((student.name, name), ()))),
    )


# ---- near-identical submissions


def _near(handed_in: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], set[str]]:
    """For each student and unit, who handed in nearly the same: names, comments and layout set aside."""
    found: dict[tuple[str, str], set[str]] = {}
    for unit in {name for _, name in handed_in}:
        known = load(unit)
        # What everybody has been given, and what a right answer looks like, tells nothing.
        expected = (known.starter, known.solution, *known.right.values())
        own = frozenset().union(*(_shingles(text.encode()) for text in expected))
        made = {student: _shingles(source) - own for (student, name), source in handed_in.items() if name == unit}
        for one, other in combinations(sorted(made), 2):
            a, b = made[one], made[other]
            if min(len(a), len(b)) >= 4 * _SHINGLE and len(a & b) >= NEAR * len(a | b):
                found.setdefault((one, unit), set()).add(other)
                found.setdefault((other, unit), set()).add(one)
    return found


def _shingles(source: bytes) -> frozenset[tuple[str, ...]]:
    """Every run of tokens; a student's own names count as one, so that renaming changes nothing."""
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    words: list[str] = []
    try:
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            if token.type not in skipped:
                words.append(
                    "name" if token.type == tokenize.NAME and not keyword.iskeyword(token.string) else token.string
                )
    except (tokenize.TokenError, SyntaxError, UnicodeDecodeError):
        words += source.decode("utf-8", "replace").split()[len(words) :]
    return frozenset(tuple(words[i : i + _SHINGLE]) for i in range(len(words) - _SHINGLE + 1))


# ---- as text


def to_csv(rows: Sequence[Row]) -> str:
    """A line a student and unit, with a head."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Row.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def to_json(rows: Sequence[Row]) -> str:
    """The same as a list of objects."""
    return json.dumps([asdict(row) for row in rows], indent=1)
