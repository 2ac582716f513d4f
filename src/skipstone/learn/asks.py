"""What a unit asks of a student's file: plain data, sent to the process that runs the file.

An ask names something at the top of the file and what is to be done with it; the answer is data too (`facts`). No ask
says what is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """The value bound to `name`, as plain data: numbers, texts, shapes, lists and dicts of them."""

    name: str


@dataclass(frozen=True, slots=True)
class Calls:
    """What the function `name` returns for each of `cases`, lists of arguments that are plain data."""

    name: str
    cases: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Network:
    """The network that `name` makes of `arguments`, recorded on an input of shape `example`, with its weights.

    `name` may be a class, a function that returns a module, or a module. `training` is its mode while it is recorded;
    `seed` decides its weights.
    """

    name: str
    example: Shape
    arguments: tuple[object, ...] = ()
    training: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class KerasModel:
    """The Keras model that the function `name` builds on an input `x` of shape `example`: `name(x, *arguments)`.

    Recorded, as networks are, with its weights, which `seed` decides; Keras runs on torch.
    """

    name: str
    example: Shape
    arguments: tuple[object, ...] = ()
    seed: int = 0


Ask = Value | Calls | Network | KerasModel
_KINDS: dict[str, type[Ask]] = {kind.__name__: kind for kind in (Value, Calls, Network, KerasModel)}


def to_wire(asks: Sequence[Ask]) -> list[dict[str, Any]]:
    """The asks as JSON."""
    return [{"kind": type(ask).__name__, **{n: getattr(ask, n) for n in ask.__dataclass_fields__}} for ask in asks]


def from_wire(rows: Sequence[dict[str, Any]]) -> list[Ask]:
    """The asks of `to_wire`."""
    return [_KINDS[row["kind"]](**{name: _tuples(row[name]) for name in row if name != "kind"}) for row in rows]


def _tuples(value: object) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
