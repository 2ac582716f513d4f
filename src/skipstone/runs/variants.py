"""Variants of one network, in words: `ablate:all`, `connect:layer1 layer3 merge=cat`.

A variant is a name and edits in the order in which they are carried out. A run keeps them as the words that were typed,
so that its spec can be read; `training.model` carries them out on the network as built.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from skipstone.core.edit import AtInit, ConnectMerge
from skipstone.core.errors import SkipstoneError, UnknownNameError

_FORMS = "ablate:WHICH (all, a kind, a number, a glob), connect:FROM TO [merge=add] [shortcut=auto] [at_init=zero]"


@dataclass(frozen=True, slots=True)
class Ablation:
    """Skips to take out: "all", a kind, an index as `find_skips` counts, or a glob of the module a skip ends in."""

    which: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class NewSkip:
    """A skip to put in, from the output of one module into that of another; the fields are those of `connect`."""

    source: str
    target: str
    merge: ConnectMerge = "add"
    shortcut: str = "auto"
    at_init: AtInit = "zero"


@dataclass(frozen=True, slots=True)
class Variant:
    """A network's variant: its name, and its edits in words. Without edits it is the network as it is."""

    name: str
    edits: tuple[str, ...] = ()


def parse_edit(text: str) -> Ablation | NewSkip:
    """An edit out of its words.

    >>> parse_edit("ablate:0,layer2.*")
    Ablation(which=(0, 'layer2.*'))
    >>> parse_edit("connect:layer1 layer3 merge=cat").merge
    'cat'
    """
    verb, colon, rest = text.strip().partition(":")
    words = rest.replace(",", " ").split() if verb == "ablate" else rest.split()
    if not colon or verb not in ("ablate", "connect") or not words:
        raise SkipstoneError(f"edit {text!r} is not understood; write one of: {_FORMS}")
    if verb == "ablate":
        return Ablation(tuple(int(word) if word.isdecimal() else word for word in words))
    ends = [word for word in words if "=" not in word]
    if len(ends) != 2:
        raise SkipstoneError(f"edit {text!r} names {len(ends)} modules, expected two: connect:FROM TO")
    return NewSkip(*ends, **_settings(text, words))  # type: ignore[arg-type]


def parse_variant(text: str) -> Variant:
    """`plain=ablate:all`, or several edits with semicolons between; a name alone is the network as it is.

    >>> parse_variant("mended=ablate:0; connect:conv1 conv3").edits
    ('ablate:0', 'connect:conv1 conv3')
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    edits = tuple(part.strip() for part in rest.split(";") if part.strip())
    if not name or ":" in name or (equals and not edits):
        raise SkipstoneError(f"variant {text!r} is not understood, expected NAME=EDIT or NAME; an edit is {_FORMS}")
    demand_edits(edits)
    return Variant(name, edits)


def demand_edits(edits: Sequence[str]) -> None:
    """Raise `SkipstoneError` at the first edit that is not understood."""
    for edit in edits:
        parse_edit(edit)


def _settings(text: str, words: Sequence[str]) -> dict[str, str]:
    allowed = {"merge": get_args(ConnectMerge), "shortcut": (), "at_init": get_args(AtInit)}
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    for key, value in settings.items():
        if key not in allowed:
            raise UnknownNameError(f"setting in edit {text!r}:", key, allowed)
        if allowed[key] and value not in allowed[key]:
            raise SkipstoneError(f"edit {text!r}: {key} is {value!r}, expected one of {', '.join(allowed[key])}")
    return settings
