"""Nests of values, as models take and return them: what is in them, and the same nest with each changed.

The containers are those that torch's own pytrees know: tuples, lists, dicts, named tuples, and what a package registers
(`ModelOutput`). What is in other mappings and in dataclasses is found too.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch

from skipstone.tracing.torch_internals import tree_flatten, tree_leaves, tree_unflatten

T = TypeVar("T")
_PLAIN = frozenset((type(None), bool, int, float, complex, str, slice, torch.dtype, torch.device))
_DEPTH = 4  # of dataclasses: a config object that refers to itself must end


def tensors_in(value: object) -> list[torch.Tensor]:
    """Every tensor in a nest, in order."""
    return [value] if isinstance(value, torch.Tensor) else leaves_in(value, torch.Tensor)


def map_tensors(value: object, change: Callable[[torch.Tensor], torch.Tensor]) -> object:
    """The nest with `change` applied to each tensor."""
    return change(value) if isinstance(value, torch.Tensor) else map_leaves(value, torch.Tensor, change)


def leaves_in(value: object, kind: type[T]) -> list[T]:
    """Every value of a kind in a nest, in order."""
    found: list[T] = []
    if type(value) not in _PLAIN:
        _collect(value, kind, found, 0)
    return found


def map_leaves(value: object, kind: type[T], change: Callable[[T], object]) -> object:
    """The nest with `change` applied to each value of a kind; other leaves, dataclasses among them, stay."""
    leaves, form = tree_flatten(value)
    return tree_unflatten([change(leaf) if isinstance(leaf, kind) else leaf for leaf in leaves], form)


def _collect(value: object, kind: type[Any], found: list[Any], depth: int) -> None:
    if isinstance(value, kind):
        found.append(value)
        return
    for item in _items(value, depth):
        if type(item) not in _PLAIN:  # nearly every leaf is: not worth a call
            _collect(item, kind, found, depth + 1)


def _items(value: object, depth: int) -> Iterable[object]:
    """What a container holds; nothing of what is none."""
    if isinstance(value, tuple | list):
        return value
    if type(value) is dict or isinstance(value, Mapping):  # asking for an abstract class takes its time
        return value.values()
    if depth < _DEPTH and hasattr(value, "__dataclass_fields__"):
        return [getattr(value, name, None) for name in value.__dataclass_fields__]
    leaves: list[object] = tree_leaves(value)
    return leaves if len(leaves) != 1 or leaves[0] is not value else ()
