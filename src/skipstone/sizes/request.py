"""What is asked: inputs whose axes are numbers or letters, and the sizes each letter may take."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch

from skipstone.core.errors import SkipstoneError
from skipstone.core.input_text import ExampleError, parse_input
from skipstone.tracing.example import dtype_of, refuse_fractions
from skipstone.tracing.nests import leaves_in, map_leaves

DEFAULT_RANGE = range(1, 513)
_MAX_SIZES = 2**20
_TAKEN = frozenset(("model", "inputs", "mode", "seconds", "method", "run", "budget"))
Size = int | torch.SymInt
Maker = Callable[[torch.Tensor, Sequence[Size]], torch.Tensor]


class SizesError(SkipstoneError, ValueError):
    """A question about sizes that has no free axis, or a range that belongs to none."""


@dataclass(frozen=True)
class Pattern:
    """A tensor input: the shape asked for (letters are free axes), the tensor that gives its dtype."""

    shape: tuple[int | str, ...]
    like: torch.Tensor


@dataclass(frozen=True)
class Request:
    """The model's arguments with a `Pattern` for each tensor, and the range of each free axis."""

    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    ranges: Mapping[str, Sequence[int]]

    def build(self, size: Callable[[str], Size], make: Maker) -> tuple[tuple[object, ...], dict[str, object]]:
        """The arguments, each free axis of the size that `size` gives its letter."""
        known: dict[str, Size] = {}

        def tensor(item: Pattern) -> object:
            shape = [axis if isinstance(axis, int) else known.setdefault(axis, size(axis)) for axis in item.shape]
            return make(item.like, shape)

        made: Any = map_leaves((self.args, dict(self.kwargs)), Pattern, tensor)
        return made[0], made[1]


def parse_request(inputs: object, ranges: Mapping[str, Sequence[int]]) -> Request:
    """Read the inputs in any form an example may take, with letters for free axes: `(2, 3, "h", "w")`.

    A shape may end in a dtype: `("n", "t", torch.int64)`.

    Raises:
        SizesError: no axis is free, a range is given for no axis, or holds something else than sizes from 0 on.
        ExampleError: inputs of no known form.
    """
    if isinstance(inputs, Mapping):
        args: tuple[object, ...] = ()
        kwargs = {str(key): _value(item) for key, item in inputs.items()}
    elif isinstance(inputs, torch.Tensor) or _is_pattern(inputs):
        args, kwargs = (_value(inputs),), {}
    elif isinstance(inputs, tuple | list) and inputs:
        refuse_fractions(inputs)
        args, kwargs = tuple(map(_value, inputs)), {}
    else:
        raise ExampleError(
            f"input {inputs!r} is not understood; give a shape with letters for its free axes such as "
            "(2, 3, 'h', 'w'), a tensor, a tuple of them, or a dict of keyword arguments"
        )
    letters = list(dict.fromkeys(_letters((args, tuple(kwargs.values())))))
    if not letters:
        given = inputs[0] if isinstance(inputs, tuple | list) and len(inputs) == 1 else inputs
        raise SizesError(f"input {given!r} has no free axis; write a letter in place of a size, as in (2, 3, 'h', 'w')")
    if taken := [letter for letter in letters if letter in _TAKEN]:
        raise SizesError(f"a free axis cannot be named {taken[0]}, an argument's name; write another letter")
    if extra := sorted(set(ranges) - set(letters)):
        raise SizesError(f"a range is given for {', '.join(extra)}, but the free axes are {', '.join(letters)}")
    return Request(args, kwargs, {name: _range(name, ranges.get(name, DEFAULT_RANGE)) for name in letters})


def parse_pattern_text(text: str) -> tuple[int | str | torch.dtype, ...]:
    """Read one `--input` with letters for free axes: `3xHxW` (a batch of 2 is added) or `N,3,H,W`, `:dtype` or not.

    >>> parse_pattern_text("3xHxH")
    (2, 3, 'h', 'h')
    """
    typed = parse_input(text)
    return (*typed.shape, dtype_of(typed)) if typed.dtype else typed.shape


def _range(name: str, sizes: object) -> Sequence[int]:
    if isinstance(sizes, range) and (sizes.stop - sizes.start) // sizes.step > _MAX_SIZES:
        raise SizesError(f"the range of {name} is {sizes!r}; at most {_MAX_SIZES:,} sizes are looked at")
    try:
        values = sorted(set(map(int, sizes)))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise SizesError(f"the range of {name} is {sizes!r}; give sizes, such as range(1, 513)") from None
    if not values:
        raise SizesError(f"the range of {name} is empty; give sizes, such as range(1, 513)")
    if values[0] < 0:
        raise SizesError(f"the range of {name} holds {values[0]}; a size is 0 or more")
    return values


def _is_pattern(value: object) -> bool:
    if not isinstance(value, tuple | list) or not value:
        return False
    sizes = value[:-1] if isinstance(value[-1], torch.dtype) else value
    return bool(sizes) and all(isinstance(s, Integral | str) and not isinstance(s, bool) for s in sizes)


def _value(item: object) -> object:
    if isinstance(item, torch.Tensor):
        return Pattern(tuple(item.shape), item)
    if _is_pattern(item):
        assert isinstance(item, tuple | list)
        dtype = item[-1] if isinstance(item[-1], torch.dtype) else torch.float32
        shape = tuple(_axis(s) for s in item if not isinstance(s, torch.dtype))
        return Pattern(shape, torch.empty((), dtype=dtype, device="meta"))
    if isinstance(item, tuple | list):
        return type(item)(map(_value, item))
    if type(item) is dict:
        return {key: _value(part) for key, part in item.items()}
    return item


def _axis(size: object) -> int | str:
    if isinstance(size, str):
        if not re.fullmatch(r"[A-Za-z_]\w*", size):
            raise ExampleError(f"free axis {size!r} is no name; write a letter such as 'h'")
        return size
    assert isinstance(size, Integral)
    if size < 0:
        raise ExampleError(f"an axis has size {size}; every size must be 0 or more")
    return int(size)


def _letters(value: object) -> list[str]:
    return [axis for pattern in leaves_in(value, Pattern) for axis in pattern.shape if isinstance(axis, str)]
