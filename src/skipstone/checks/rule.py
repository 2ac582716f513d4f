"""What a rule is made of: its row in the table, the faults it sees, the repairs it proposes.

A rule is one module: its docstring is the finding's page, and beside `RULE` it holds

    check(subject) -> Iterator[Fault]                   what is wrong, and where
    repairs(subject, fault) -> Iterator[Proposal]       optional: what could mend it, likeliest first

Where a repair needs more than the fault's place, the rule has a frozen `Fault` of its own with typed fields.
`codes.py` lists the modules.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from skipstone.checks.subject import Subject
from skipstone.core.edit import Edits
from skipstone.core.finding import Branch, Severity, Shape
from skipstone.core.graph import Node, Place


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table of findings. File, test, golden text and page bear the rule's name.

    `depends_on_size`: whether it fails may depend on the input's size, so that the legal sizes tell more.
    """

    code: str
    name: str
    severity: Severity
    summary: str
    depends_on_size: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """A node of the record, the module ("" for the root) and the source line that answer for it."""

    node: int
    module: str
    place: Place | None


def at(node: Node, *, module: str | None = None, place: Place | None = None) -> Where:
    """A node with its own module and line, or with those given."""
    return Where(node.index, node.module if module is None else module, place or node.place)


@dataclass(frozen=True)
class Fault:
    """What a rule saw: where, in words, and the shapes that met. `notes` are shown under the message.

    Faults of one `cause` are one slip of the user's; None: it stands for itself. With `explains_all` every other error
    of the pass comes of this one.
    """

    where: Where
    message: str
    operands: tuple[Shape, ...] = ()
    branches: tuple[Branch, ...] = ()
    notes: tuple[str, ...] = ()
    cause: Hashable | None = None
    explains_all: bool = False


@dataclass(frozen=True, slots=True)
class Proposal:
    """A repair not verified yet: edits, their title and effect in words.

    `keeps_output`: a network that ran gives the same output as before.
    """

    title: str
    edits: Edits
    effect: str
    keeps_output: bool = False


class RuleModule(Protocol):
    """A module that holds a rule."""

    RULE: Rule

    def check(self, subject: Subject, /) -> Iterator[Fault]:
        """The faults of this rule in a recorded network."""


def repairs_of(module: RuleModule) -> Callable[[Subject, Any], Iterator[Proposal]] | None:
    """A rule's proposals for its own faults; None where it has none."""
    return getattr(module, "repairs", None)
