"""skipstone learn: lessons, exercises and a quiz, in the working folder; and for a teacher, a class."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from skipstone.cli import output
from skipstone.core.errors import SkipstoneError

app = App(
    name="learn",
    help="Lessons on skip connections, each with an exercise that is really checked. Begin: skipstone learn next",
    help_format="plaintext",
    default_parameter=Parameter(negative=""),
)

UnitName = Annotated[
    str | None, Parameter(help="A unit: wire-2, its file wire_2.py or its number 2; else the first not passed.")
]


@app.command(name="list")
def list_units() -> int:
    """List the units, and how far you have come with each."""
    from skipstone.learn.session import table

    print(table(Path()))
    return 0


@app.command(name="next")
def next_unit() -> int:
    """Go to the first unit that is not passed: its lesson, its exercise, and the file to work in."""
    from skipstone.learn.session import Session, lesson

    session = Session()
    if session.all_passed():
        print("all units are passed; skipstone learn quiz asks 25 questions more")
        return 0
    unit = session.current()
    print(lesson(unit))
    put = session.begin(unit)
    print(f"\nYour file: {session.path(unit)}{' (new)' if put else ''}. Then: skipstone learn check")
    return 0


@app.command
def show(unit: UnitName = None, /) -> int:
    """Show a unit's lesson and exercise."""
    from skipstone.learn.session import Session, lesson

    print(lesson(Session().current(unit)))
    return 0


@app.command
def check(unit: UnitName = None, /) -> int:
    """Check your answer. Exit status: 0 passed, 1 not yet, 2 could not check."""
    from skipstone.learn.session import Session

    session = Session()
    with output.waiting("judging your answer"):
        verdict = session.check(session.current(unit))
    print(verdict)
    print("\nnext: skipstone learn next" if verdict.passed else "\nstuck? skipstone learn hint")
    return 0 if verdict.passed else 1


@app.command
def watch(unit: UnitName = None, /) -> int:
    """Check your answer whenever you save it; Ctrl-C ends."""
    from skipstone.learn.session import Session

    for found, verdict in Session().watch(unit):
        print(f"\n{verdict}", flush=True)
        if not verdict.passed:
            output.note(f"waiting for {found.file_name} to be saved; Ctrl-C ends")
    return 0


@app.command
def hint(unit: UnitName = None, /) -> int:
    """Show the next hint, with those before it."""
    from skipstone.learn.session import Session

    session = Session()
    print(session.hint(session.current(unit)))
    return 0


@app.command
def reset(unit: UnitName = None, /, *, seed: int | None = None) -> int:
    """Put the starter file there anew; yours is kept beside it.

    Parameters
    ----------
    seed
        Draw another exercise of its kind, where a unit can (silent-10).
    """
    from skipstone.learn.session import Session

    session = Session()
    found = session.current(unit)
    kept = session.reset(found, seed)
    print(f"{session.path(found)} is the starter again{f'; yours is {kept}' if kept else ''}")
    return 0


@app.command
def solution(unit: UnitName = None, /, *, give_up: bool = False) -> int:
    """Show the solution of a unit that you have passed.

    Parameters
    ----------
    give_up
        Show it all the same; your progress will say so.
    """
    from skipstone.learn.session import Session

    session = Session()
    print(session.solution(session.current(unit), give_up=give_up))
    return 0


@app.command
def progress() -> int:
    """Show how far you have come: attempts, hints, what was wrong at the last check."""
    from skipstone.learn import progress as record
    from skipstone.learn.session import table

    print(table(Path()))
    open_ones = {name: entry for name, entry in record.read(Path()).items() if entry.message and not entry.passed}
    for name, entry in open_ones.items():
        print(f"{name}: {entry.message}")
    return 0


@app.command
def grade(
    folder: Path,
    /,
    *,
    format: Annotated[Literal["csv", "json"], Parameter(name=["--format", "-f"])] = "csv",
    workers: int | None = None,
) -> int:
    """Judge a class: a folder with a folder for each student. Exit status: 0 done, 2 could not.

    Parameters
    ----------
    folder
        Holds a folder for each student, with that student's files.
    format
        csv or json: student, unit, passed, attempts, hints, message, near-identical submissions.
    workers
        How many are judged at once; by default one for each core.
    """
    from skipstone.learn import grading

    if not folder.is_dir():
        raise SkipstoneError(f"{folder} is no folder; give one that holds a folder for each student")
    rows = grading.grade(folder, workers=workers, told=_told)
    print(grading.to_csv(rows) if format == "csv" else grading.to_json(rows), end="\n" * (format == "json"))
    num_near = sum(bool(row.near) for row in rows)
    output.note(f"{len(rows)} graded, {sum(row.passed for row in rows)} passed, {num_near} near-identical to another's")
    return 0


def _told(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        output.note(f"judged {done} of {total}")


@app.command
def verify(unit: str, /) -> int:
    """Check a unit's own file: its starter must fail, its solution pass. Exit status: 0 sound, 1 not.

    Parameters
    ----------
    unit
        A file of yours, or a unit's name.
    """
    from skipstone.learn.unit import load
    from skipstone.learn.verifying import verify

    broken = 0
    for text in verify(load(unit)):
        print(text)
        broken += 1
    print(f"{unit}: {'sound' if not broken else f'{broken} promises broken'}")
    return 1 if broken else 0


@app.command
def notebook(unit: UnitName = None, /, *, out: Path | None = None) -> int:
    """Write a unit as a Jupyter notebook.

    Parameters
    ----------
    out
        The file to write; by default the unit's name with .ipynb. One that is there already is left alone.
    """
    from skipstone.core.files import write_atomically
    from skipstone.learn.notebooks import notebook
    from skipstone.learn.session import Session

    found = Session().current(unit)
    path = out or Path(f"{found.name.replace('-', '_')}.ipynb")
    if path.exists():
        raise SkipstoneError(f"{path} is there already; give another with --out, or move it away")
    write_atomically(path, notebook(found).encode())
    print(f"written: {path}")
    return 0


@app.command
def quiz(*, seed: int = 0, answers: str | None = None, sheet: bool = False) -> int:
    """Ask 25 questions. Exit status: 0 all right, 1 not all, 2 could not.

    Parameters
    ----------
    seed
        Draws other numbers and another order of the choices.
    answers
        All answers at once, as abdc...; nothing is asked then.
    sheet
        Print the questions alone.
    """
    from skipstone.learn import quiz as paper
    from skipstone.learn.questions import quiz

    questions = quiz(seed)
    if sheet:
        print(paper.sheet(questions))
        return 0
    if answers is None:
        num_right = paper.asked(questions, input, print)
    else:
        outcomes = list(paper.mark(questions, answers))
        print("\n".join(words for _, words in outcomes))
        num_right = sum(right for right, _ in outcomes)
    print(f"\n{num_right} of {len(questions)} right")
    return 0 if num_right == len(questions) else 1
