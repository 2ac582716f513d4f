"""The walk through the first three units as text: `python -m skipstone.learn.walk docs/learn` writes its page."""

import sys
from collections.abc import Iterator

from skipstone.core.pages import main
from skipstone.learn.judging import judge_source
from skipstone.learn.session import lesson
from skipstone.learn.unit import NAMES, Unit, load

_HEAD = """# A walk through the first three units

What a student sees, made by running it: the lesson, the starter judged, one typical mistake, a hint, a right answer.
"""
# The mistake that is shown of each.
_SHOWN = {"shapes-1": "no padding", "wire-2": "channels alone", "forward-3": "sizes by broadcasting"}


def pages() -> dict[str, str]:
    """File name -> text: the one page."""
    return {"walk.md": "\n".join([_HEAD, *(line for name in NAMES[:3] for line in _unit(load(name)))])}


def _unit(unit: Unit) -> Iterator[str]:
    mistake = _SHOWN[unit.name]
    yield from (f"## {unit.name}: {unit.title}", "", *_block(lesson(unit).partition("\n\n")[2]))
    yield from ("The starter, as it is:", "", *_judged(unit, unit.starter))
    yield from (f"A typical mistake ({mistake}):", "", *_judged(unit, unit.wrong[mistake][0]))
    yield from (f"A hint: {unit.hints[-1]}", "", "A right answer:", "", *_judged(unit, unit.solution))


def _judged(unit: Unit, source: str) -> list[str]:
    return _block(str(judge_source(unit, source.encode())))


def _block(text: str) -> list[str]:
    return ["```text", text.rstrip(), "```", ""]


if __name__ == "__main__":
    sys.exit(main("skipstone.learn.walk", sys.argv[1:], pages()))
