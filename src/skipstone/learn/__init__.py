"""Lessons, exercises and a quiz whose answers are really checked: what `skipstone learn` does, from Python.

In a notebook: `skipstone.learn.check("shapes-1", {"shapes": ...})`, or `skipstone.learn.check("wire-2", globals())`.
Importing this package imports no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

_EXPORTS = {
    "check": "skipstone.learn.notebook",
    "judge_file": "skipstone.learn.judging",
    "grade": "skipstone.learn.grading",
    "Verdict": "skipstone.learn.verdict",
    "Point": "skipstone.learn.verdict",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


if TYPE_CHECKING:
    from skipstone.learn.grading import grade as grade
    from skipstone.learn.judging import judge_file as judge_file
    from skipstone.learn.notebook import check as check
    from skipstone.learn.verdict import Point as Point
    from skipstone.learn.verdict import Verdict as Verdict
