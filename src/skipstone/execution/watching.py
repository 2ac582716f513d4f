"""Looks on while a copy runs: which module is running, which operation was last, whether the time is up."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from skipstone.execution.copying import RealClone
from skipstone.graphs.operations import canonical
from skipstone.tracing.torch_internals import no_torch_function

See = Callable[["Watch", str, tuple[Any, ...], Mapping[str, Any], Any], None]


class OutOfTime(BaseException):
    """The run took longer than it was given. No `Exception`: a forward that catches those must not go on."""


class Watch(TorchFunctionMode):
    """Sees each call of torch by the network's own code; `see` is told of it with its result.

    `op` is the last operation begun; `refusal` the error that torch raised in one and `refused` that
    one, with how often it had begun in its module; `running` the modules under way.
    """

    def __init__(self, clone: RealClone, deadline: float, see: See | None = None) -> None:
        super().__init__()
        self.clone, self.deadline, self.see = clone, deadline, see
        self.op = ""
        self.refusal: BaseException | None = None
        self.refused = ("", 0)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.running: list[str] = []
        self.called: set[str] = set()

    @property
    def path(self) -> str:
        return self.running[-1] if self.running else ""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if time.monotonic() > self.deadline:
            raise OutOfTime
        name, kwargs = getattr(func, "__name__", str(func)), kwargs or {}
        if name in ("__get__", "__set__", "__delete__"):
            return func(*args, **kwargs)
        self.op = canonical(name)
        self.counts[self.op, self.path] += 1
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            self.refusal, self.refused = error, (self.op, self.counts[self.op, self.path])
            raise
        if self.see is not None:
            with no_torch_function(), torch.no_grad():
                self.see(self, self.op, args, kwargs, result)
        return result

    @contextmanager
    def following(self) -> Iterator[None]:
        """The copy's modules tell when they begin and end."""
        handles = []
        for module in self.clone.model.modules():
            if not isinstance(module, torch.jit.ScriptModule):
                handles.append(module.register_forward_pre_hook(self._enter, prepend=True))
                handles.append(module.register_forward_hook(self._leave, always_call=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: object) -> None:
        path = self.clone.paths.get(id(module), "")
        self.running.append(path)
        self.called.add(path)

    def _leave(self, module: nn.Module, args: object, output: object) -> None:
        path = self.clone.paths.get(id(module), "")
        while self.running and self.running.pop() != path:
            pass
