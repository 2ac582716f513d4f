"""What `--input` is given, taken apart: sizes, letters for free axes, a dtype's name. Knows no torch."""

import math
import re
from dataclasses import dataclass

from skipstone.core.errors import SkipstoneError

_BATCH = 2  # the batch a shape without one gets: one image would hide what a batch norm or a squeeze does
_MAX_VALUES = 2**40  # four terabytes of float32: beyond it sizes overflow somewhere in every library
_MAX_AXES = 16
_FORM = "write 3x32x32 (a batch of 2 is added), or 2,3,32,32 with the batch, or 2,16:int64"


class ExampleError(SkipstoneError, ValueError):
    """An example input that is none of: a shape, a tensor, a tuple of these, a dict of keyword arguments."""


@dataclass(frozen=True, slots=True)
class InputText:
    """One input as typed. `shape` has its batch axis first; a letter, in lower case, is a size left open."""

    text: str
    shape: tuple[int | str, ...]
    dtype: str | None = None

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(size for size in self.shape if isinstance(size, str)))


def parse_input(text: str) -> InputText:
    """Read `3x32x32` (a batch of 2 is added), `2,3,32,32` (batch included), either with letters or with `:dtype`.

    >>> parse_input("3xHxH").shape
    (2, 3, 'h', 'h')

    Raises:
        ExampleError: another form, a size of 0, or more values than any memory holds.
    """
    sizes, colon, dtype = (part.strip() for part in text.partition(":"))
    separator = "," if "," in sizes else "x"
    parts = [part.strip() for part in sizes.split(separator)]
    if colon and not re.fullmatch(r"\w+", dtype):
        raise ExampleError(f"input {text!r} is not understood; {_FORM}")
    if separator == "," and any(re.fullmatch(r"\d+(x\d+)+", part) for part in parts):
        raise ExampleError(f"input {text!r} mixes 'x' and ','; {_FORM}")
    if not all(re.fullmatch(r"[0-9]+|[A-Za-z_]+", part) for part in parts):
        raise ExampleError(f"input {text!r} is not understood; {_FORM}")
    if any(len(part) > 18 and part.isdigit() for part in parts):
        raise ExampleError(f"input {text[:40]!r}... holds a size of more than 18 digits; no memory holds such a tensor")
    shape = tuple(int(part) if part.isdigit() else part.lower() for part in parts)
    shape = shape if separator == "," else (_BATCH, *shape)
    _check_sizes(text, shape)
    return InputText(text, shape, dtype or None)


def _check_sizes(text: str, shape: tuple[int | str, ...]) -> None:
    if 0 in shape:
        raise ExampleError(f"input {text!r} has an axis of size 0; every size must be 1 or more")
    if len(shape) > _MAX_AXES:
        raise ExampleError(f"input {text[:40]!r}... has {len(shape)} axes; at most {_MAX_AXES} are taken")
    values = math.prod(size for size in shape if isinstance(size, int))
    if values > _MAX_VALUES:
        raise ExampleError(f"input {text!r} has {values:,} values; no memory holds more than {_MAX_VALUES:,}")
