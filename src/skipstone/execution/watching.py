"""Looks on while a copy runs: which module is running, which operation was last, whether the time is up."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import torch.utils.checkpoint
from torch import nn
from torch.overrides import TorchFunctionMode

from skipstone.execution.copying import RealClone
from skipstone.graphs.operations import canonical
from skipstone.tracing.deadline import demand_time
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.torch_internals import no_torch_function

Refused = tuple[str, int, tuple[tuple[int, ...], ...]]
See = Callable[["Watch", str, tuple[Any, ...], Mapping[str, Any], Any], None]


class Watch(TorchFunctionMode):
    """Sees each call of torch by the network's own code; `see` is told of it with its result.

    `op` is the last operation begun; `refusal` the error that torch raised in one and `refused` that one, with how
    often it had begun in its module and the shapes that it met; `running` the modules under way. `read` holds the
    parameters that were among the operands, by name, each with whether that was inside a checkpoint.
    """

    def __init__(self, clone: RealClone, see: See | None = None) -> None:
        super().__init__()
        self.clone, self.see = clone, see
        self.read: dict[str, bool] = {}
        self.op = ""
        self.refusal: BaseException | None = None
        self.refused: Refused = ("", 0, ())
        self.counts: Counter[tuple[str, str]] = Counter()
        self.running: list[str] = []

    @property
    def path(self) -> str:
        return self.running[-1] if self.running else ""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        demand_time()
        name, kwargs = getattr(func, "__name__", str(func)), kwargs or {}
        if name in ("__get__", "__set__", "__delete__"):
            return func(*args, **kwargs)
        self.op = canonical(name)
        self.counts[self.op, self.path] += 1
        self._note_parameters(args, kwargs)
        try:
            result = func(*args, **kwargs)
        except Exception as error:
            shapes = tuple(tuple(tensor.shape) for tensor in tensors_in((args, kwargs)))
            self.refusal, self.refused = error, (self.op, self.counts[self.op, self.path], shapes)
            raise
        if self.see is not None:
            with no_torch_function(), torch.no_grad():
                self.see(self, self.op, args, kwargs, result)
        return result

    def _note_parameters(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        for tensor in tensors_in((args, kwargs)):
            name = self.clone.names.get(id(tensor))
            if name is not None and name not in self.read:
                self.read[name] = not torch.is_grad_enabled() and _in_checkpoint()

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

    def _leave(self, module: nn.Module, args: object, output: object) -> None:
        path = self.clone.paths.get(id(module), "")
        while self.running and self.running.pop() != path:
            pass


def _in_checkpoint() -> bool:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == torch.utils.checkpoint.__file__:
            return True
        frame = frame.f_back
    return False
