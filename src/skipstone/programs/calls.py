"""The calls of root modules: a network called by code that is no module's, and the form of what it was given.

Only the form of the last call is kept, and of modules and other objects only a weak reference: nothing lives longer
than it would have. Modules that a network calls within itself pass after one look at a flag.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from skipstone.programs.entrance import Inside, with_entrance
from skipstone.tracing import Example
from skipstone.tracing.session import at_work


class _Tensor(NamedTuple):
    """The form of a tensor. A subclass of Tensor is described as a plain one."""

    shape: torch.Size
    dtype: torch.dtype

    def made(self) -> torch.Tensor:
        """A tensor of that form without data."""
        return torch.empty(self.shape, dtype=self.dtype, device="meta")


class RootCall:
    """What a root module was last called with, in the mode it then had. `number` counts its calls from 1.

    One for each root, written over by its next call.
    """

    __slots__ = ("_module", "args", "before", "kind", "kwargs", "number", "training")

    def __init__(self, module: "weakref.ref[nn.Module]", kind: str, before: "Listener | None") -> None:
        self._module, self.kind, self.before = module, kind, before
        self.args: tuple[object, ...] = ()
        self.kwargs: Mapping[str, object] = {}
        self.training, self.number = False, 0

    @property
    def module(self) -> nn.Module | None:
        """The root itself, None once it is gone."""
        return self._module()

    def example(self) -> Example:
        """The call as an example input, its tensors without data."""
        return Example(tuple(map(_made, self.args)), {name: _made(value) for name, value in self.kwargs.items()})


Listener = Callable[[nn.Module, RootCall, tuple[object, ...]], None]


def _nobody(module: nn.Module) -> None:
    return None


class Watch:
    """While active, every call of a root module leaves its form in `last`.

    `listener` says of a root, when it is called for the first time, who is told of each of its calls beforehand: with
    the module, its call before (`number` is 0 where there was none) and what it is given now.

    It replaces `nn.Module.__call__`, which compiled code does not go through: torch's compiler enters modules below it.
    """

    def __init__(self, listener: Callable[[nn.Module], Listener | None] = _nobody) -> None:
        self._calls: dict[int, RootCall] = {}  # by the root's id, as long as it lives
        self.gone: RootCall | None = None  # of the root with weights that was freed last
        self._listener = listener
        self._inside = Inside()
        self._plain: Callable[..., Any] | None = None

    def start(self) -> None:
        """Begin to watch; once more is no harm."""
        if self._plain is None:
            self._plain = nn.Module.__call__
            self._call = with_entrance(self._plain, self._inside, self._enter)
            nn.Module.__call__ = self._call  # type: ignore[method-assign]

    def stop(self) -> None:
        """End the watch, unless somebody else has replaced the call since: then it stays, and does no harm."""
        if self._plain is not None and nn.Module.__call__ is self._call:
            nn.Module.__call__ = self._plain  # type: ignore[method-assign]
        self._plain = None

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """Calls that this thread makes in this block are none of the program's."""
        before = self._inside.module
        self._inside.module = True
        try:
            yield
        finally:
            self._inside.module = before

    def roots(self) -> Iterator[tuple[nn.Module, RootCall]]:
        """The root modules that still live, each with its last call, in the order of their first calls."""
        for call in list(self._calls.values()):
            if (module := call.module) is not None:
                yield module, call

    def last(self, module: nn.Module) -> RootCall:
        """The last call of a root module; KeyError for one that has not been called."""
        return self._calls[id(module)]

    def _enter(self, module: nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
        """Note the call of a root. The path of every step: what can be left for the first call, or for later, is."""
        if at_work() or torch.compiler.is_compiling():
            return False  # a pass of ours, or a compiler's: none of the program's
        call = self._calls.get(id(module)) or self._begun(module)
        if call.before is not None:
            call.before(module, call, args)
        call.args = tuple([_Tensor(a.shape, a.dtype) if type(a) is torch.Tensor else _form(a) for a in args])
        call.kwargs = {name: _form(value) for name, value in kwargs.items()} if kwargs else kwargs
        call.training = module.training
        call.number += 1
        self._inside.module = True
        return True

    def _begun(self, module: nn.Module) -> RootCall:
        number, calls = id(module), self._calls
        learns = next(module.parameters(), None) is not None

        def forget(_: Any) -> None:
            freed = calls.pop(number, None)
            if learns:
                self.gone = freed

        kind = type(module).__name__
        calls[number] = call = RootCall(weakref.ref(module, forget), kind, self._listener(module))
        return call


_PLAIN = (bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.Size)


def _form(value: object) -> object:
    """What a value was, without keeping it: tensors by their form, other objects by weak reference."""
    if isinstance(value, torch.Tensor):
        return _Tensor(value.shape, value.dtype)
    if value is None or isinstance(value, _PLAIN):
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
