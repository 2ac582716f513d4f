"""Example inputs: a shape, a tensor, a tuple of them, or a dict of keyword arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import torch

from skipstone.core.input_text import ExampleError, InputText, parse_input

_DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
    "complex128",
)}  # fmt: skip


_LONGEST = 80  # characters of an input that is not understood


@dataclass(frozen=True)
class Example:
    """What the model is called with: positional and keyword arguments, tensors standing for themselves."""

    args: tuple[object, ...]
    kwargs: Mapping[str, object]


def parse_example(example: object) -> Example:
    """Read any accepted form of example input.

    A tuple or list of whole numbers is the shape of one float32 tensor, batch axis included; a tuple of shapes and
    tensors is several positional inputs; a dict maps keyword arguments to shapes, tensors or plain values.

    >>> parse_example((2, 3, 32, 32)).args[0].shape
    torch.Size([2, 3, 32, 32])
    """
    if isinstance(example, Example):
        return example
    if isinstance(example, Mapping):
        return Example((), {str(key): _value(value) for key, value in example.items()})
    if isinstance(example, torch.Tensor) or _is_shape(example):
        return Example((_value(example),), {})
    if isinstance(example, tuple | list) and example:
        refuse_fractions(example)
        return Example(tuple(map(_value, example)), {})
    raise ExampleError(
        f"example input {_short(example)} is not understood; give a shape such as (2, 3, 32, 32), a tensor, "
        "a tuple of them, or a dict of keyword arguments"
    )


def _short(value: object) -> str:
    """The first line of what it is, for arrays print all that they hold."""
    text = repr(value).split("\n")[0]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def resized(example: Example, change: Callable[[tuple[int, ...]], tuple[int, ...]], *, every: bool) -> Example:
    """The example with its first tensor reshaped, or with `every` those of the same first axis; values are lost."""
    first: list[torch.Tensor] = []

    def visit(value: object) -> object:
        if isinstance(value, torch.Tensor):
            if not first:
                first.append(value)
            elif not every or value.dim() == 0 or value.shape[0] != first[0].shape[0]:
                return value
            return torch.empty(change(tuple(value.shape)), dtype=value.dtype, device="meta")
        if isinstance(value, tuple | list):
            return type(value)(map(visit, value))
        if isinstance(value, dict):
            return {key: visit(item) for key, item in value.items()}
        return value

    args = visit(example.args)
    kwargs = visit(dict(example.kwargs))
    return replace(example, args=args, kwargs=kwargs)  # type: ignore[arg-type]


def parse_input_text(text: str) -> torch.Tensor:
    """Read one `--input`: `3x32x32` (a batch of 2 is added), `2,3,32,32` (batch included), either with `:dtype`.

    >>> parse_input_text("1,16:int64").dtype
    torch.int64
    """
    typed = parse_input(text)
    if typed.letters:
        letter = typed.letters[0].upper()
        raise ExampleError(f"input {text!r} has the letter {letter} where a size is needed, such as 32")
    return torch.empty(typed.shape, dtype=dtype_of(typed), device="meta")  # type: ignore[arg-type]  # no letters


def dtype_of(typed: InputText) -> torch.dtype:
    """The dtype that was typed, float32 where none was."""
    if typed.dtype is not None and typed.dtype not in _DTYPES:
        raise ExampleError(f"input {typed.text!r} has unknown dtype {typed.dtype!r}; known: {', '.join(_DTYPES)}")
    return _DTYPES[typed.dtype or "float32"]


def _is_shape(value: object) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) > 0
        and all(isinstance(size, Integral | torch.SymInt) and not isinstance(size, bool) for size in value)
    )


def refuse_fractions(shape: Sequence[object]) -> None:
    """Numbers alone are a shape.

    Raises:
        ExampleError: one of its sizes is no whole number.
    """
    odd = next((size for size in shape if isinstance(size, float | bool)), None)
    if odd is not None and all(isinstance(size, Real | str) for size in shape):
        raise ExampleError(f"shape {tuple(shape)} has the size {odd}; every size must be a whole number")


def _value(value: object) -> object:
    if _is_shape(value):
        # numpy's whole numbers are as good as Python's
        sizes = tuple(size if isinstance(size, torch.SymInt) else int(size) for size in value)  # type: ignore[attr-defined]
        if min(sizes) < 0:
            raise ExampleError(f"shape {sizes} has a negative size; every size must be 0 or more")
        try:
            return torch.empty(sizes, dtype=torch.float32, device="meta")  # whatever the default dtype is at present
        except (RuntimeError, OverflowError, TypeError):
            raise ExampleError(f"shape {sizes} holds more numbers than any tensor can") from None
    if isinstance(value, torch.Tensor) and value.is_nested:
        raise ExampleError("an input is a nested tensor (torch.nested), which a record cannot hold; give a padded one")
    if isinstance(value, tuple):
        return tuple(map(_value, value))
    if isinstance(value, list):
        return list(map(_value, value))
    if isinstance(value, Mapping):
        return {key: _value(item) for key, item in value.items()}
    return value
