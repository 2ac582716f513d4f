"""The exceptions skipstone raises: one base class, one subclass per kind of mistake."""

from collections.abc import Iterable
from difflib import get_close_matches

_MOST_SHOWN = 20


class SkipstoneError(Exception):
    """What could not be done because of what was given. The text names the value and what would be right."""


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
