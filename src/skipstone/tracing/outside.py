"""What a network's code can reach without its instance: class attributes, globals, the user's own modules.

Twins (see `clone`) have no part in these, so they are looked at before and put back after. In a process with other
threads at work, what changes meanwhile may be their doing: there only what the record surely left, tensors without
data, is taken back.
"""

import sys
import threading
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import lru_cache, partial
from operator import is_
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from skipstone.tracing.blame import is_library
from skipstone.tracing.deadline import num_foreign_calls
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.objects import filled
from skipstone.tracing.position import is_ours
from skipstone.tracing.randomness import alone
from skipstone.tracing.torch_internals import FakeTensor

_LARGEST = 10_000  # entries of a container that is looked at
_LARGEST_TENSOR = 1 << 22
_MAPPINGS = (dict, OrderedDict, defaultdict, Counter)
_TABLES = frozenset(vars(nn.Module()))  # what every module has: an empty one is not worth a look
_local = threading.local()


@contextmanager
def outside_kept(model: nn.Module) -> Iterator[None]:
    """Within, code of the model's may write to what is not the twin's: afterwards it is as it was.

    So it is after each pass within a longer piece of work too: a table that one pass put into a cache of the file's has
    no place in the next, whose tensors are of another kind. A pass that the model's own code asks for within a pass (a
    check in a forward hook) leaves everything as that pass had it until then.
    """
    kept: dict[tuple[int, int], _Outside] = _local.__dict__.setdefault("kept", {})
    key = id(model), num_foreign_calls()
    known = kept.get(key)
    outside = kept.setdefault(key, known or _Outside(model))
    try:
        yield
    finally:
        if known is None:
            del kept[key]
        outside.put_back()


class _Outside:
    """Everything found from a model, each with what it held."""

    def __init__(self, model: nn.Module) -> None:
        self._seen: set[int] = set()
        self._mappings: list[tuple[MutableMapping[Any, Any], dict[Any, Any]]] = []
        self._back: list[Callable[[], None]] = []
        self._keep: list[object] = []
        self._alone = alone()
        self._look_at(model)

    def put_back(self) -> None:
        for mapping, before in self._mappings:
            if not _is_as_before(mapping, before) and self._is_the_record_s(list(mapping.values())):
                mapping.clear()
                mapping.update(before)
        for back in self._back:
            back()

    def _is_the_record_s(self, values: Iterable[object]) -> bool:
        return self._alone or any(isinstance(tensor, FakeTensor) for tensor in tensors_in(list(values)))

    def _look_at(self, value: object) -> None:
        pending = [value]
        while pending:
            item = pending.pop()
            if id(item) not in self._seen:
                self._seen.add(id(item))
                self._keep.append(item)
                pending += [part for part in self._into(item) if type(part) not in _LEAVES]

    def _into(self, item: Any) -> list[object]:
        """Remember what an object holds; the objects that are to be looked at behind it."""
        kind = type(item)
        if kind in _MAPPINGS and len(item) <= _LARGEST:
            self._mapping(item)
            return list(item.values())
        if isinstance(item, nn.Module):
            own = vars(item)
            self._mapping(own)
            return [kind, *(value for name, value in own.items() if name not in _TABLES or value)]
        if kind is FunctionType:
            return self._function(item)
        if kind is _CACHED:
            return self._cached(item)
        if isinstance(item, type):
            return self._class(item)
        if kind in _INNER:
            return [getattr(item, _INNER[kind])]
        if kind is RemovableHandle:
            return list(vars(item).values())
        if isinstance(item, weakref.ref):
            return [item()]
        if kind in (tuple, frozenset):
            return list(item)
        if kind in (list, set, deque) and len(item) <= _LARGEST:
            self._collection(item)
            return list(item)
        if hasattr(item, "__dict__") and _is_user_s(kind):
            self._mapping(vars(item))
            return [kind, *vars(item).values()]
        return []

    def _mapping(self, mapping: MutableMapping[Any, Any]) -> None:
        self._mappings.append((mapping, dict(mapping)))  # some hundreds of them: no closure for each

    def _collection(self, collection: Any) -> None:
        before = list(collection)

        def back() -> None:
            now = list(collection)
            if len(now) != len(before) or not all(map(is_, now, before)):
                if not self._is_the_record_s(now):
                    return
                collection.clear()
                (collection.update if isinstance(collection, set) else collection.extend)(before)

        self._back.append(back)

    def _cached(self, function: Any) -> list[object]:
        """What `lru_cache` keeps of one pass cannot be taken out alone: all of it goes, to be made anew."""
        before = function.cache_info().misses

        def back() -> None:
            nonlocal before
            if function.cache_info().misses != before:
                function.cache_clear()
                before = 0

        self._back.append(back)
        return [function.__wrapped__]

    def _class(self, kind: type) -> list[object]:
        if not _is_user_s(kind):
            return list(kind.__mro__[1:])  # a class that an edit made stands on the user's
        before = dict(vars(kind))

        def back() -> None:
            for name in {*before, *vars(kind)} - {"__dict__", "__weakref__"}:
                now = vars(kind).get(name)
                if (name in before and now is before[name]) or not self._is_the_record_s([now]):
                    continue
                if name in before:
                    setattr(kind, name, before[name])
                else:
                    delattr(kind, name)

        self._back.append(back)
        self._tensors(before.values())
        return [*before.values(), *kind.__mro__[1:]]

    def _function(self, function: FunctionType) -> list[object]:
        """The globals that the function's code names."""
        if is_library(function.__code__.co_filename) or is_ours(function.__code__.co_filename):
            return []
        space = function.__globals__
        before = {name: space[name] for name in _names(function.__code__) if name in space}

        def back() -> None:
            for name, value in before.items():
                if space.get(name) is not value and self._is_the_record_s([space.get(name)]):
                    space[name] = value

        self._back.append(back)
        self._tensors(before.values())
        return [*before.values(), *(cell.cell_contents for cell in function.__closure__ or () if filled(cell))]

    def _tensors(self, values: Iterable[object]) -> None:
        """Tensors outside the instance are written to by what is really run; a record writes to none with data."""
        for value in values:
            held = [*value.parameters(), *value.buffers()] if isinstance(value, nn.Module) else [value]
            for tensor in held if self._alone else ():
                if isinstance(tensor, torch.Tensor) and _has_data(tensor):
                    gradient = tensor.grad if tensor.is_leaf else None
                    self._back.append(partial(_refill, tensor, tensor.detach().clone(), gradient))


def _is_as_before(mapping: MutableMapping[Any, Any], before: dict[Any, Any]) -> bool:
    """Are the same keys there, in the same order, each with the very object it had?"""
    if len(mapping) != len(before) or not all(map(is_, mapping.values(), before.values())):
        return False
    return not before or list(mapping) == list(before)


def _has_data(tensor: torch.Tensor) -> bool:
    return not isinstance(tensor, FakeTensor) and not tensor.is_meta and tensor.numel() <= _LARGEST_TENSOR


def _refill(tensor: torch.Tensor, before: torch.Tensor, gradient: torch.Tensor | None) -> None:
    if not torch.equal(tensor, before):  # a norm's running means are written without a new version
        with torch.no_grad():
            tensor.copy_(before)
    if tensor.is_leaf and tensor.grad is not gradient:
        tensor.grad = gradient


_CACHED = type(lru_cache(len))
_INNER = {staticmethod: "__func__", classmethod: "__func__", property: "fget"}
_LEAVES = frozenset((type(None), bool, int, float, complex, str, bytes, ModuleType, torch.Tensor, nn.Parameter))


def _is_user_s(kind: type) -> bool:
    """Is the class written in a file of the user's, or typed in?"""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return kind.__module__ == "__main__" or (file is not None and not is_library(file) and not is_ours(file))


def _names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))
