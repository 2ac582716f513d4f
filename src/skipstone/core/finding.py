"""What a check found: the fact, its place, the sizes along both branches, and how to mend it."""

from dataclasses import dataclass
from typing import Literal

from skipstone.core.cost import Cost
from skipstone.core.edit import Edits
from skipstone.core.graph import Place, shape_text

Severity = Literal["error", "warning", "note"]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LedgerStep:
    """One layer on a branch: what it is, its place, the sizes before and after, and how it rounds where it does."""

    label: str
    module: str
    place: Place | None
    before: Shape
    after: Shape
    rounding: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """One way into a merge: `branch` or `shortcut`, its shape there, the steps that changed a size since the fork."""

    label: str
    shape: Shape
    steps: tuple[LedgerStep, ...] = ()
    parts_at: int | None = None  # the step where this branch first leaves the other one's sizes


@dataclass(frozen=True, slots=True)
class SizeSummary:
    """Legal sizes of one input axis: a rule in words, the nearest ones, what runs only by broadcasting, the method."""

    axis: str
    asked: int
    rule: str
    nearest: tuple[int, ...]
    broadcast: str
    method: str


@dataclass(frozen=True, slots=True)
class Repair:
    """A change that removes the finding, verified by recording the changed network.

    `effect` says what it does to the function: what becomes legal, whether a trained model's output is kept.
    """

    title: str
    edits: Edits
    cost: Cost
    effect: str
    suggestion: str = ""
    keeps_output: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. `module` is the dotted path of the module ("" for the root); `operands` the shapes that met."""

    code: str
    rule: str
    severity: Severity
    message: str
    module: str
    place: Place | None
    operands: tuple[Shape, ...]
    node: int
    branches: tuple[Branch, ...] = ()
    sizes: tuple[SizeSummary, ...] = ()
    repairs: tuple[Repair, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> str | None:
        return self.place.file if self.place else None

    @property
    def line(self) -> int | None:
        return self.place.line if self.place else None

    @property
    def column(self) -> int | None:
        return self.place.column if self.place else None

    def __str__(self) -> str:
        where = f" ({self.place})" if self.place else ""
        met = ", ".join(map(shape_text, self.operands))
        return f"{self.code} {self.message} at {self.module or 'forward'}{where}: {met}"
