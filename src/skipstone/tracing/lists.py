"""Torch's functions over lists (`_foreach_add(xs, ys)`, as optimizers use them), recorded as one call a tensor."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

_PREFIX = "_foreach_"
_MOST = 3  # arguments by position: behind them stand the numbers of `addcmul`, one for each tensor


def is_over_lists(name: str, args: Sequence[object], kwargs: Mapping[str, object]) -> bool:
    """Is it a function over lists that does to each tensor what the tensor's own method of the name would do?"""
    known = name.startswith(_PREFIX) and hasattr(torch.Tensor, name.removeprefix(_PREFIX))
    return known and 0 < len(args) <= _MOST and not any(isinstance(value, tuple | list) for value in kwargs.values())


def one_by_one(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor] | None:
    """The results of the method for each tensor of the first list; None of what works in place."""
    method = getattr(torch.Tensor, name.removeprefix(_PREFIX))
    results = [method(*each, **kwargs) for each in _each(args)]
    return None if name.endswith("_") else results


def _each(args: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    for position in range(len(args[0])):
        yield tuple(value[position] if isinstance(value, tuple | list) else value for value in args)
