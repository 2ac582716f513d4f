"""Nests of values, as models take and return them: what is in them, and the same nest with each changed.

The containers are those that torch's own pytrees know: tuples, lists, dicts, named tuples, and what a package registers
(`ModelOutput`). What is in other mappings and in dataclasses is found too.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch

from skipstone.tracing.torch_internals import tree_flatten, tree_unflatten

T = TypeVar("T")
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
    _collect(value, kind, found, 0)
    return found


def map_leaves(value: object, kind: type[T], change: Callable[[T], object]) -> object:
    """The nest with `change` applied to each value of a kind; other leaves, dataclasses among them, stay."""
    leaves, form = tree_flatten(value, is_leaf=lambda item: isinstance(item, kind))
    return tree_unflatten([change(leaf) if isinstance(leaf, kind) else leaf for leaf in leaves], form)


def _collect(value: object, kind: type[Any], found: list[Any], depth: int) -> None:
    for leaf in tree_flatten(value, is_leaf=lambda item: isinstance(item, kind))[0]:
        if isinstance(leaf, kind):
            found.append(leaf)
        elif isinstance(leaf, Mapping):
            _collect(list(leaf.values()), kind, found, depth + 1)
        elif isinstance(leaf, tuple | list):
            _collect(list(leaf), kind, found, depth + 1)
        elif depth < _DEPTH and hasattr(leaf, "__dataclass_fields__"):
            _collect([getattr(leaf, name, None) for name in leaf.__dataclass_fields__], kind, found, depth + 1)
