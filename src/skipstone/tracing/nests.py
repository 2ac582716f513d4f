"""Nests of tensors: what is in them, and the same nest with each tensor changed."""

from collections.abc import Callable, Mapping

import torch

_DEPTH = 4  # of dataclasses: a config object that refers to itself must end


def tensors_in(value: object, found: list[torch.Tensor] | None = None, depth: int = 0) -> list[torch.Tensor]:
    """Every tensor in a nest of tuples, lists, dicts and dataclasses, in order."""
    found = [] if found is None else found
    if isinstance(value, torch.Tensor):
        found.append(value)
    elif isinstance(value, tuple | list):
        for item in value:
            tensors_in(item, found, depth + 1)
    elif isinstance(value, Mapping):
        for item in value.values():
            tensors_in(item, found, depth + 1)
    elif depth < _DEPTH and hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            tensors_in(getattr(value, name, None), found, depth + 1)
    return found


def map_tensors(value: object, change: Callable[[torch.Tensor], torch.Tensor]) -> object:
    """The nest with `change` applied to each tensor."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)._make(map_tensors(item, change) for item in value)  # type: ignore[attr-defined]
    if type(value) in (tuple, list):
        return type(value)(map_tensors(item, change) for item in value)  # type: ignore[call-arg, attr-defined]
    if type(value) is dict:
        return {key: map_tensors(item, change) for key, item in value.items()}
    return value
