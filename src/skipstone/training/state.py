"""What a network holds besides its state dict: counters, buffers that are not persistent, generators of its own.

A forward pass may read any of these, so a resumed run needs them as much as it needs the weights. They become tensors,
numbers, texts and containers of these, which load with `weights_only=True`, and go back *into* the objects of a
network built alike, so that what two modules share they still share.

Not seen: module globals, class attributes, closures, what lies behind weak references. The trial finds those by trying.
"""

import random
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import nn

from skipstone.tracing.torch_internals import buffers_of, parameters_of

Kept = Any
"""A plain value or tensor as it is; of anything else a pair (kind, content)."""

AS_BUILT: Kept = ("as built", None)
"""Stands for what holds no state (functions, classes, settings of other libraries) or was kept at another place."""

_TORCHS_OWN = frozenset(vars(nn.Module()))  # _parameters, _buffers, hooks, training: the state dict and the mode
_OTHERS = frozenset(sys.stdlib_module_names) | {"torch", "numpy", "lightning_fabric", "skipstone"}
_PLAIN = (bool, int, float, complex, str, bytes, type(None))


@dataclass(frozen=True, slots=True)
class _Generator:
    """How the state of one kind of random generator is read and put back."""

    kind: type
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], None]


_GENERATORS = {
    "torch generator": _Generator(torch.Generator, lambda g: g.get_state(), lambda g, state: g.set_state(state)),
    "numpy generator": _Generator(
        np.random.Generator, lambda g: g.bit_generator.state, lambda g, state: setattr(g.bit_generator, "state", state)
    ),
    "numpy random state": _Generator(
        np.random.RandomState, lambda g: g.get_state(legacy=False), lambda g, state: g.set_state(state)
    ),
    "python random": _Generator(random.Random, lambda g: g.getstate(), lambda g, state: g.setstate(state)),
}


@dataclass(frozen=True, slots=True)
class Unkept:
    """What was seen and can't be kept, in words: `moving` changes as it is read, `other` may hold no state at all."""

    moving: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


def read_state(model: nn.Module) -> tuple[dict[str, Kept], Unkept]:
    """(what each module holds besides its state dict, by the module's name; what was seen and can't be kept).

    Nothing is changed; tensors are copies on the CPU.
    """
    reader = _Reader(model)
    kept = {}
    for name, module in model.named_modules():
        if found := reader.module(f"{type(model).__name__}.{name}" if name else type(model).__name__, module):
            kept[name] = found
    return kept, Unkept(tuple(reader.moving), tuple(reader.other))


def restore_state(model: nn.Module, kept: dict[str, Kept]) -> None:
    """Put what `read_state` gave back into a network built alike."""
    modules = dict(model.named_modules())
    for name, attributes in kept.items():
        module = modules[name]
        for key, value in attributes["attributes"].items():
            module.__dict__[key] = _restored(module.__dict__.get(key), value)
        for key, value in attributes["buffers"].items():
            buffers_of(module)[key] = _restored(buffers_of(module).get(key), value)


@dataclass
class _Reader:
    """Reads values; every object that can be shared is kept at the first place it is met."""

    model: nn.Module
    moving: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Registered modules, parameters and buffers are kept under their own names, wherever else they are listed.
        # The objects are held, not their ids alone: a generator's state is made for us, and its id is soon another's.
        things = (thing for module in self.model.modules() for thing in (module, *_registered(module)))
        self._met = {id(thing): thing for thing in things}

    def module(self, name: str, module: nn.Module) -> Kept:
        attributes = {
            key: self.read(f"{name}.{key}", value) for key, value in vars(module).items() if key not in _TORCHS_OWN
        }
        attributes = {key: value for key, value in attributes.items() if value is not AS_BUILT}
        passing = sorted(module._non_persistent_buffers_set)
        buffers = {key: _copied(buffer) for key in passing if (buffer := buffers_of(module)[key]) is not None}
        return {"attributes": attributes, "buffers": buffers} if attributes or buffers else None

    def read(self, place: str, value: Any) -> Kept:
        if type(value) in _PLAIN:
            return value
        if id(value) in self._met:
            return AS_BUILT
        if type(value) is not tuple:
            self._met[id(value)] = value
        if isinstance(value, torch.Tensor):
            return _copied(value)
        for kind, generator in _GENERATORS.items():
            if isinstance(value, generator.kind):
                return kind, self.read(place, generator.read(value))
        if isinstance(value, np.ndarray | np.generic):
            return self._array(place, np.asarray(value))
        return self._container(place, value)

    def _array(self, place: str, value: "np.ndarray[Any, Any]") -> Kept:
        try:
            return "array", torch.from_numpy(value.copy())
        except TypeError:
            return self._cannot(place, f"an array of {value.dtype}")

    def _container(self, place: str, value: Any) -> Kept:
        if isinstance(value, list | deque) or type(value) is tuple:
            kind = "tuple" if type(value) is tuple else "list"
            return kind, [self.read(f"{place}[{i}]", item) for i, item in enumerate(value)]
        if isinstance(value, dict):
            if not all(map(_is_key, value)):
                return self._cannot(place, "a dict with keys other than numbers and texts")
            return "dict", [(key, self.read(f"{place}[{key!r}]", item)) for key, item in value.items()]
        if isinstance(value, set):
            if not all(map(_is_key, value)):
                return self._cannot(place, "a set of other things than numbers and texts")
            return "set", list(value)
        if _has_attributes(value):
            return "object", [(key, self.read(f"{place}.{key}", item)) for key, item in vars(value).items()]
        if hasattr(value, "__next__"):
            self.moving.append(f"{place} is a {type(value).__name__}, which moves on as it is read")
        return AS_BUILT

    def _cannot(self, place: str, what: str) -> Kept:
        self.other.append(f"{place} is {what}")
        return AS_BUILT


def _registered(module: nn.Module) -> list[Any]:
    return [*parameters_of(module).values(), *buffers_of(module).values()]


def _copied(value: torch.Tensor) -> torch.Tensor:
    return value.detach().cpu().clone()


def _is_key(value: object) -> bool:
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_key, value)))


def _has_attributes(value: object) -> bool:
    """Is this an object of the user's own kind: no function, class or module, nothing of Python's or torch's?

    Of modules kept in a plain list, which torch does not register, the weights are attributes like others.
    """
    if isinstance(value, type | Enum) or not hasattr(value, "__dict__"):
        return False
    return isinstance(value, nn.Module) or type(value).__module__.partition(".")[0] not in _OTHERS


def _restored(now: Any, kept: Kept) -> Any:
    """The value to stand where `now` stands: `now` itself, changed in place, where it can be."""
    if isinstance(kept, torch.Tensor):
        return _restored_tensor(now, kept)
    if type(kept) is not tuple:
        return kept
    kind, content = kept
    if kind in _GENERATORS:
        _GENERATORS[kind].write(now, _restored(None, content))
        return now
    return _CONTAINERS[kind](now, content)


def _restored_tensor(now: Any, kept: torch.Tensor) -> torch.Tensor:
    if isinstance(now, torch.Tensor) and now.shape == kept.shape and now.dtype == kept.dtype:
        with torch.no_grad():
            now.copy_(kept)
        return now
    return kept.to(now.device) if isinstance(now, torch.Tensor) else kept


def _restored_array(now: Any, content: torch.Tensor) -> Any:
    array = content.numpy()
    if isinstance(now, np.ndarray) and now.shape == array.shape and now.dtype == array.dtype and now.flags.writeable:
        now[...] = array
        return now
    return array if array.ndim else array[()]


def _restored_list(now: Any, content: list[Kept]) -> Any:
    before = list(now) if isinstance(now, list | deque | tuple) else []
    items = [_restored(before[i] if i < len(before) else None, item) for i, item in enumerate(content)]
    if isinstance(now, list | deque):
        now.clear()
        now.extend(items)
        return now
    return items


def _restored_dict(now: Any, content: list[tuple[Any, Kept]]) -> Any:
    before = dict(now) if isinstance(now, dict) else {}
    items = {key: _restored(before.get(key), item) for key, item in content}
    if isinstance(now, dict):
        now.clear()
        now.update(items)
        return now
    return items


def _restored_set(now: Any, content: list[Any]) -> Any:
    if isinstance(now, set):
        now.clear()
        now.update(content)
        return now
    return set(content)


def _restored_object(now: Any, content: list[tuple[str, Kept]]) -> Any:
    if now is not None:
        for key, item in content:
            now.__dict__[key] = _restored(now.__dict__.get(key), item)
    return now


_CONTAINERS: dict[str, Callable[[Any, Any], Any]] = {
    "as built": lambda now, content: now,
    "array": _restored_array,
    "list": _restored_list,
    "tuple": lambda now, content: tuple(_restored_list(now if isinstance(now, tuple) else None, content)),
    "dict": _restored_dict,
    "set": _restored_set,
    "object": _restored_object,
}
