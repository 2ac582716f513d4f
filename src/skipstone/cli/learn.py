"""skipstone learn: lessons, exercises and a quiz, in the working folder; and for a teacher, a class."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from skipstone.cli import output

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
def reset(unit: UnitName = None, /) -> int:
    """Put the starter file there anew; yours is kept beside it."""
    from skipstone.learn.session import Session

    session = Session()
    found = session.current(unit)
    kept = session.reset(found)
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
