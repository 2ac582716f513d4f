"""Values for what would need data: conditions are true, numbers 1, masks keep everything. Each is noted as assumed."""

from collections.abc import Mapping, Sequence

import torch

_TRUE = ("__bool__", "equal", "allclose", "is_nonzero", "__contains__")
_NUMBERS = ("item", "__int__", "__index__", "__float__", "__complex__")
_CONDITION = "took a data-dependent condition as true"
_NUMBER = "took a data-dependent number as 1"
_MASK = "took a data-dependent mask as all true"
_DISTINCT = "took data-dependent values as all distinct"


def made_up(name: str, operands: Sequence[torch.Tensor], kwargs: Mapping[str, object]) -> tuple[object, str] | None:
    """A result for the function `name` and the words for the assumption, None where nothing sensible is known."""
    if name in _TRUE:
        return True, _CONDITION
    if not operands:
        return None
    source = operands[0]
    if name in _NUMBERS:
        return (1.0 if source.dtype.is_floating_point and name in ("item", "__float__") else 1), _NUMBER
    if name == "tolist":
        return _ones(tuple(source.shape)), _NUMBER
    if name in ("nonzero", "argwhere") or (name == "where" and len(operands) == 1):
        if name == "where" or kwargs.get("as_tuple"):
            return tuple(_indices(source, ()) for _ in range(max(1, source.dim()))), _MASK
        return _indices(source, (source.dim(),)), _MASK
    if name in ("__getitem__", "masked_select") and len(operands) > 1:
        mask = operands[1]
        kept = source.shape[mask.dim() :] if mask.dtype in (torch.bool, torch.uint8) else source.shape[1:]
        return source.new_empty((mask.numel(), *kept)), _MASK
    if name in ("unique", "unique_consecutive", "_unique2"):
        return _unique(source, kwargs), _DISTINCT
    if name == "repeat_interleave":
        return source.new_empty(source.shape), "took data-dependent repeats as 1"
    return None


def _ones(shape: tuple[int, ...]) -> object:
    return [_ones(shape[1:]) for _ in range(shape[0])] if shape else 1


def _indices(mask: torch.Tensor, rest: tuple[int, ...]) -> torch.Tensor:
    return mask.new_empty((mask.numel(), *rest), dtype=torch.int64)


def _unique(source: torch.Tensor, kwargs: Mapping[str, object]) -> object:
    along = kwargs.get("dim")
    count = source.numel() if not isinstance(along, int) else source.shape[along]
    values = source.new_empty((count,)) if not isinstance(along, int) else source.new_empty(source.shape)
    extra = [source.new_empty(source.shape if along is None else (count,), dtype=torch.int64)] * bool(
        kwargs.get("return_inverse")
    ) + [source.new_empty((count,), dtype=torch.int64)] * bool(kwargs.get("return_counts"))
    return (values, *extra) if extra else values
