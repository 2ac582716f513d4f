"""Copies of a network, whatever it holds: with weights of its own, or as a twin on the same weights.

`copy.deepcopy` gives up on a whole network for one thing in it that has no copy: the weight that `weight_norm` computes
(a tensor within a graph), a compiled function, a lock, an open file. Such things are handed to it as copied already.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from types import FunctionType, MethodType, ModuleType

import torch
from torch import Tensor, nn

from skipstone.execution.copying import RealClone
from skipstone.surgery.errors import SurgeryError
from skipstone.tracing import keras
from skipstone.tracing.clone import Clone

_CONTAINERS = (dict, list, tuple, set, frozenset)
_ATOMS = (type(None), bool, int, float, complex, str, bytes, type, torch.dtype, torch.device, torch.Size)


def copied(model: nn.Module) -> nn.Module:
    """A copy with weights of its own. A tensor within a graph loses the graph; what has no copy is shared.

    Raises:
        SurgeryError: a module in it refuses to be copied.
    """
    if keras.is_layer(model):  # its deepcopy goes through a file format that knows no class of the user's
        return RealClone(model).model
    held = tuple(_reachable(model))
    inner = [value for value in held if isinstance(value, Tensor) and not value.is_leaf]
    ready: dict[int, object] = {id(tensor): tensor.detach().clone() for tensor in inner}
    try:
        return copy.deepcopy(model, dict(ready))
    except Exception:  # noqa: BLE001 - copying runs the user's code, which may raise anything; what is in the way is found below
        ready |= _uncopyable(held)
    try:
        return copy.deepcopy(model, ready)
    except Exception as error:
        raise SurgeryError(f"{type(model).__name__} cannot be copied: {error}; pass copy=False to edit it") from error


def twin(model: nn.Module) -> nn.Module:
    """Modules of its own on the same tensors: nothing is allocated. For recording, not for running."""
    return _Twins(model).model


class _Twins(Clone):
    def _twin(self, tensor: Tensor) -> Tensor:
        return tensor

    def _deep_copy(self, value: object) -> object:
        self._memo.update((id(held), held) for held in _reachable(value) if isinstance(held, Tensor))
        return super()._deep_copy(value)

    def _leave_unsized(self, twin: nn.Module) -> None:
        pass  # whoever records it sizes twins of its own


def _uncopyable(held: Sequence[object]) -> dict[int, object]:
    """What cannot be copied by itself, each its own copy. What it refers to is not copied for the trial."""
    trial: dict[int, object] = {id(value): value for value in held if isinstance(value, nn.Module | Tensor)}
    found: dict[int, object] = {}
    for value in reversed(held):  # what is held stands behind its holder
        if isinstance(value, (nn.Module, Tensor, *_CONTAINERS)):
            continue
        try:
            copy.deepcopy(value, {**trial, **found})
        except Exception:  # noqa: BLE001 - as above
            found[id(value)] = value
    return found


def _reachable(root: object) -> Iterator[object]:
    """Everything that an object holds, through containers, partial functions and objects; holders first, each once."""
    seen: set[int] = set()
    pending: list[object] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, _ATOMS) or id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        pending += _held_by(value)


def _held_by(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, _CONTAINERS):
        return value
    if isinstance(value, partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, MethodType):
        return (value.__self__,)
    # deepcopy takes functions, classes and modules of Python's as they are.
    if isinstance(value, Tensor | FunctionType | type | ModuleType) or not hasattr(value, "__dict__"):
        return ()
    return vars(value).values()
