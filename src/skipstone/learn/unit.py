"""A unit: one file with a lesson, an exercise, and everything that judges it. Found through one table.

A unit's file binds the names that `Unit` lists in capitals, and the functions `judge(answers)` and `picture()`; its
docstring is the lesson. docs/learn/own-units.md shows one.
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path, PureWindowsPath
from types import ModuleType
from typing import TYPE_CHECKING, Any

from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.learn.asks import Ask
from skipstone.learn.walls import UNITS

if TYPE_CHECKING:
    from skipstone.learn.answers import Answers
    from skipstone.learn.verdict import Point

# In the order of the hour. A unit's module is its name with an underscore.
NAMES = (
    "shapes-1",
    "wire-2",
    "forward-3",
    "channels-4",
    "keras-5",
    "concat-6",
    "network-7",
    "gradient-8",
    "train-9",
    "silent-10",
    "design-11",
)


class UnitError(SkipstoneError):
    """A file that is no unit; the text says what is missing."""


@dataclass(frozen=True)
class Unit:
    """One lesson and its exercise.

    `right` holds further right answers by name, `wrong` typical mistakes, each with a part of the message it must get.
    `start(seed)`, where there is one, draws another starter; `seconds` is the processor time that an answer may take;
    `own` marks a unit from a file of the user's.
    """

    name: str
    title: str
    lesson: str
    statement: str
    starter: str
    hints: tuple[str, ...]
    solution: str
    asks: tuple[Ask, ...]
    judge: "Callable[[Answers], Iterator[Point]]"
    picture: Callable[[], str]
    right: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    seconds: int = 10
    start: Callable[[int], str] | None = None
    own: bool = False

    def starter_of(self, seed: int | None) -> str:
        """The starter file; of a unit that is drawn, that of the seed."""
        return self.starter if self.start is None or seed is None else self.start(seed)

    def drawn(self) -> str:
        """The picture as text: of the package's own units the one that `skipstone.learn.pictures` wrote beside them.

        So a lesson is read without recording a network, which takes torch.
        """
        kept = UNITS / f"{self.name.replace('-', '_')}.txt"
        return self.picture() if self.own else kept.read_text(encoding="utf-8").rstrip("\n")

    @property
    def file_name(self) -> str:
        """The student's file: `shapes_1.py`; beside a unit's own file `answer_mine_1.py`."""
        return f"{'answer_' if self.own else ''}{self.name.replace('-', '_')}.py"


def load(name: str) -> Unit:
    """A unit by its name, number or file: `shapes-1`, `1`, `.\\shapes_1.py`; or a unit file of your own, by its path.

    Raises:
        UnknownNameError: there is none of that name.
        UnitError: the file is no unit.
    """
    if name.endswith(".py") and Path(name).is_file() and name.removesuffix(".py").replace("_", "-") not in NAMES:
        return _from_file(Path(name))
    wanted = PureWindowsPath(name).name.lower().removesuffix(".py").replace("_", "-")
    numbers = {known.rpartition("-")[2]: known for known in NAMES}
    wanted = numbers.get(wanted, wanted)
    if wanted not in NAMES:
        raise UnknownNameError("unit", name, NAMES)
    return _from_module(import_module(f"skipstone.learn.units.{wanted.replace('-', '_')}"), wanted)


def units() -> tuple[Unit, ...]:
    """All units, in order."""
    return tuple(map(load, NAMES))


def _from_file(path: Path) -> Unit:
    spec = importlib.util.spec_from_file_location(f"skipstone_unit_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return replace(_from_module(module, path.stem.replace("_", "-")), own=True)


def _from_module(module: ModuleType, name: str) -> Unit:
    def asked(what: str) -> Any:
        if not hasattr(module, what):
            raise UnitError(f"{module.__file__} is no unit: it binds no {what}")
        return getattr(module, what)

    return Unit(
        name=name,
        title=asked("TITLE"),
        lesson=(module.__doc__ or "").strip(),
        statement=asked("STATEMENT").strip(),
        starter=asked("STARTER").lstrip("\n"),
        hints=tuple(asked("HINTS")),
        solution=asked("SOLUTION").lstrip("\n"),
        asks=tuple(asked("ASKS")),
        judge=asked("judge"),
        picture=asked("picture"),
        right=getattr(module, "RIGHT", {}),
        wrong=getattr(module, "WRONG", {}),
        seconds=getattr(module, "SECONDS", 10),
        start=getattr(module, "start", None),
    )
