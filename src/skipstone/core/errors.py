"""The exceptions skipstone raises: one base class, one subclass per kind of mistake; and one for its own faults."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

_MOST_SHOWN = 20


class SkipstoneError(Exception):
    """What could not be done because of what was given. The text names the value and what would be right."""


def printable(text: str) -> str:
    """Foreign text that a terminal shows and does not obey: control characters but for line ends are written out.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def text_of(error: BaseException) -> str:
    """An exception's text, stripped and printable; where its own `__str__` raises in turn, that is said.

    >>> text_of(KeyError("x"))
    "'x'"
    """
    try:
        return printable(str(error).strip())
    except Exception as another:  # noqa: BLE001 - the exception is of the user's code, and may do anything
        return f"its text cannot be had, {type(error).__name__}.__str__ raises {type(another).__name__}"


class UnknownNameError(SkipstoneError, LookupError):
    """A name that is not in a table.

    The text offers the nearest names that are.

    >>> str(UnknownNameError("network", "resnet21", ["resnet20", "vgg"]))
    "unknown network 'resnet21'; nearest: resnet20"
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=3, cutoff=0.6)
        more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
        hint = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names[:_MOST_SHOWN])}{more}"
        super().__init__(f"unknown {what} {name!r}; {hint}")
        self.name = name


class UntestedTorchWarning(UserWarning):
    """The installed torch was never tested, and a network whose record is known came out otherwise."""


class PartialRecordWarning(UserWarning):
    """Recording a network stopped before its forward pass ended: what comes behind it was not seen."""


class InternalError(Exception):
    """A fault of skipstone's own: nothing that was given is wrong, and no verdict can be had. See `core.faults`.

    Neither a `SkipstoneError` nor a `RuntimeError`: code that tries one thing after another and takes those for "does
    not fit", or for torch's refusal, must never take a fault for an answer. `report` is the file with the traceback,
    None where none could be written.
    """

    def __init__(self, text: str, report: Path | None = None) -> None:
        super().__init__(text)
        self.report = report
