"""The calls of root modules: a network called by code that is no module's, and the form of what it was given.

Only the form of the last call is kept, and of modules and other objects only a weak reference: nothing lives longer
than it would have. Modules that a network calls within itself pass after one look at a counter.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from skipstone.tracing import Example
from skipstone.tracing.session import at_work


@dataclass(frozen=True, slots=True)
class _Tensor:
    """The form of a tensor. A subclass of Tensor is described as a plain one."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    def made(self) -> torch.Tensor:
        """A tensor of that form without data."""
        return torch.empty(self.shape, dtype=self.dtype, device="meta")


@dataclass(frozen=True, slots=True)
class RootCall:
    """What a root module was last called with, in the mode it then had. `number` counts its calls from 1."""

    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    training: bool
    number: int

    def example(self) -> Example:
        """The call as an example input, its tensors without data."""
        return Example(tuple(map(_made, self.args)), {name: _made(value) for name, value in self.kwargs.items()})


Listener = Callable[[nn.Module, "RootCall | None", tuple[object, ...]], None]


class Watch:
    """While active, every call of a root module leaves its form in `last`; `before` is told of each beforehand.

    It replaces `nn.Module.__call__`, which compiled code does not go through: torch's compiler enters modules below it.
    """

    def __init__(self, before: Listener | None = None) -> None:
        self.last: weakref.WeakKeyDictionary[nn.Module, RootCall] = weakref.WeakKeyDictionary()
        self._before = before
        self._inside = threading.local()
        self._plain: Callable[..., Any] | None = None

    def start(self) -> None:
        """Begin to watch; once more is no harm."""
        if self._plain is not None:
            return
        plain, inside = nn.Module.__call__, self._inside
        noted = self._note

        def call(self: nn.Module, /, *args: Any, **kwargs: Any) -> Any:
            if getattr(inside, "module", False):
                return plain(self, *args, **kwargs)
            noted(self, args, kwargs)
            inside.module = True
            try:
                return plain(self, *args, **kwargs)
            finally:
                inside.module = False

        self._plain, self._call = plain, call
        nn.Module.__call__ = call  # type: ignore[method-assign]

    def stop(self) -> None:
        """End the watch, unless somebody else has replaced the call since: then it stays, and does no harm."""
        if self._plain is not None and nn.Module.__call__ is self._call:
            nn.Module.__call__ = self._plain  # type: ignore[method-assign]
        self._plain = None

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Calls that this thread makes in this block are none of the program's."""
        before = getattr(self._inside, "module", False)
        self._inside.module = True
        try:
            yield
        finally:
            self._inside.module = before

    def _note(self, module: nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        if torch.compiler.is_compiling() or at_work():
            return  # a compiler's pass, or one of ours: none of the program's
        earlier = self.last.get(module)
        if self._before is not None:
            self._before(module, earlier, args)
        number = earlier.number + 1 if earlier is not None else 1
        form = {name: _form(value) for name, value in kwargs.items()} if kwargs else {}
        self.last[module] = RootCall(tuple(map(_form, args)), form, module.training, number)

    def roots(self) -> Iterator[tuple[nn.Module, RootCall]]:
        """The root modules that still live, each with its last call, in the order of their first calls."""
        yield from list(self.last.items())


def _form(value: object) -> object:
    """What a value was, without keeping it: tensors by their form, other objects by weak reference."""
    if isinstance(value, torch.Tensor):
        return _Tensor(tuple(value.shape), value.dtype)
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | torch.dtype | torch.device):
        return value
    if type(value) is tuple or type(value) is list:
        return type(value)(map(_form, value))
    if type(value) is dict:
        return {key: _form(item) for key, item in value.items()}
    try:
        return weakref.ref(value)
    except TypeError:
        return None  # what can't be referred to weakly is not kept


def _made(form: object) -> object:
    if isinstance(form, _Tensor):
        return form.made()
    if isinstance(form, weakref.ref):
        return form()
    if type(form) is tuple or type(form) is list:
        return type(form)(map(_made, form))
    if type(form) is dict:
        return {key: _made(item) for key, item in form.items()}
    return form
