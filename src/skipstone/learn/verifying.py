"""The checker of units: does a unit hold what a unit promises? For who writes one.

The starter must run and fail, the solution pass; right answers must pass, wrong ones fail with their message.
"""

from collections.abc import Iterator

from skipstone.learn.judging import Runner, judge_source
from skipstone.learn.submission import run_source
from skipstone.learn.unit import Unit
from skipstone.learn.verdict import Verdict


def verify(unit: Unit, run: Runner = run_source) -> Iterator[str]:
    """Each promise that the unit breaks, in words; nothing for a sound one."""

    def judged(source: str) -> Verdict:
        return judge_source(unit, source.encode(), run)

    solved, begun = judged(unit.solution), judged(unit.starter)
    if not solved.passed:
        yield f"the solution does not pass: {solved.message}"
    if begun.passed:
        yield "the starter passes already"
    if any("raises" in point.text for point in begun.points):
        yield f"the starter does not run: {begun.message}"
    for name, source in unit.right.items():
        if not (verdict := judged(source)).passed:
            yield f"the right answer {name!r} does not pass: {verdict.message}"
    for name, (source, message) in unit.wrong.items():
        verdict = judged(source)
        if verdict.passed:
            yield f"the wrong answer {name!r} passes"
        elif message not in " ".join(str(verdict).split()):
            yield f"the wrong answer {name!r} is told {verdict.message!r}, expected {message!r} in it"
    if not unit.hints:
        yield "there is no hint"
    if not unit.lesson:
        yield "there is no lesson: the file has no docstring"
