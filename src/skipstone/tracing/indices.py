"""Indices whose values are known and point outside: real kernels refuse them, tensors without data do not."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch

from skipstone.tracing.blame import pass_on
from skipstone.tracing.torch_internals import no_torch_function, unset_fake_temporarily

_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
Known = Callable[[torch.Tensor], torch.Tensor | None]


def demand_in_range(op: str, args: Sequence[Any], kwargs: Mapping[str, Any], known: Known) -> None:
    """Do what torch does where a lookup meets an index beyond its table; `known` gives a tensor's values, or None.

    Raises:
        IndexError: an index is out of range.
    """
    for index, size, least in _lookups(op, args, kwargs):
        values = known(index)
        if type(size) is not int or values is None or not values.numel():
            continue
        with no_torch_function(), unset_fake_temporarily():
            low, high = int(values.min()), int(values.max())
            if low < least or high >= size:
                pass_on(operator.getitem, (torch.empty(()).expand(size), high if high >= size else low - size))


def _lookups(
    op: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Iterator[tuple[torch.Tensor, int | torch.SymInt, int]]:
    """Each index of the operation, with the size of the axis that it indexes and the smallest that is allowed."""
    if op == "embedding" and len(args) > 1:
        index, table = (args[1], args[0]) if args[0].is_floating_point() else (args[0], args[1])
        yield index, table.shape[0], 0
    elif op == "index_select" and len(args) > 2:
        yield args[2], args[0].shape[args[1]], 0
    elif op == "getitem":
        axis = 0
        for part in args[1] if isinstance(args[1], tuple) else (args[1],):
            if isinstance(part, torch.Tensor):
                if part.dtype not in _WHOLE[:4]:  # a mask takes several axes
                    return
                yield part, args[0].shape[axis], -args[0].shape[axis]
            elif part is Ellipsis or isinstance(part, bool | list):
                return
            axis += part is not None
