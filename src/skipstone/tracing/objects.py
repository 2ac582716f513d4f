"""Python's objects as a copier meets them: which hold state, which are copied by what they hold, which have no copy."""

import copyreg
import io
from collections.abc import Callable, Iterator
from types import CellType, MemberDescriptorType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError

PLAIN = frozenset((
    type(None), bool, int, float, complex, str, bytes, type, torch.dtype, torch.device, torch.Size, ModuleType,
))  # fmt: skip


class NoCopyError(SkipstoneError):
    """The network takes from something that is used up by that, and of which no copy can be made."""


class NotCopied:
    """Stands for an iterator without a copy: taking from the user's would be missing there."""

    def __init__(self, kind: str) -> None:
        self.__dict__["_kind"] = kind

    def __iter__(self) -> "NotCopied":
        return self

    def __next__(self) -> object:
        raise NoCopyError(f"the network takes from a {self._kind} it holds, of which no copy can be made")

    def __getattr__(self, name: str) -> object:
        raise NoCopyError(f"the network uses {name} of a {self._kind} it holds, of which no copy can be made")


def is_consumed(value: object) -> bool:
    return isinstance(value, Iterator) and not isinstance(value, io.IOBase)


def is_plain_object(kind: type) -> bool:
    """Is it copied by what it holds, rather than by code of its own?"""
    own = getattr(kind, "__reduce_ex__", None) is not object.__reduce_ex__ or hasattr(kind, "__deepcopy__")
    return not own and kind not in copyreg.dispatch_table and kind is not torch.Generator


def set_state(twin: Any, state: Any) -> None:
    if hasattr(twin, "__setstate__"):
        twin.__setstate__(state)
        return
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    if attributes:
        twin.__dict__.update(attributes)
    for name, value in (slots or {}).items():
        setattr(twin, name, value)


_SLOTS: WeakKeyDictionary[type, tuple[tuple[str, MemberDescriptorType], ...]] = WeakKeyDictionary()


def fill_slots(twin: nn.Module, module: nn.Module, value: Callable[[object], object]) -> None:
    """A module's class may have slots beside its `__dict__`."""
    kind = type(module)
    if kind not in _SLOTS:
        _SLOTS[kind] = tuple(
            (name, slot)
            for base in kind.__mro__
            for name, slot in vars(base).items()
            if isinstance(slot, MemberDescriptorType)
        )
    for name, slot in _SLOTS[kind]:
        if hasattr(module, name):
            slot.__set__(twin, value(slot.__get__(module)))


def filled(cell: CellType) -> bool:
    """Was anything written to it, be it None?"""
    try:
        cell.cell_contents  # noqa: B018 - reading it is the question
    except ValueError:
        return False
    return True


def is_state(value: object) -> bool:
    return type(value) not in PLAIN
