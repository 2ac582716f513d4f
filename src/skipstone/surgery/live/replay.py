"""Edits for expressions without source: torch's calls are watched while the module runs and met by their position.

Slower than rewritten source, and no use where a part of the module runs outside its call: what activation
checkpointing inside the module would do silently wrong raises an error here.
"""

import functools
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from skipstone.core.graph import Place
from skipstone.graphs.operations import canonical
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live.handlers import SiteHandler
from skipstone.tracing.position import places
from skipstone.tracing.torch_internals import running_module, saving_hooks


def replaying(forward: Any, handlers: Mapping[Place, SiteHandler]) -> Any:
    """`forward` with the calls at the given places handed to their handlers."""

    @functools.wraps(forward)
    def replayed(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        with _Replay(self, handlers):
            return forward(self, *args, **kwargs)

    return replayed


class _Replay(TorchFunctionMode):
    def __init__(self, module: nn.Module, handlers: Mapping[Place, SiteHandler]) -> None:
        super().__init__()
        self.module, self.handlers = module, handlers
        self.files = {place.file for place in handlers}
        self.surroundings = _surroundings()

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        handler = None if name in ("__get__", "__set__", "") else self._handler(name)
        if handler is None:
            return func(*args, **kwargs)
        if _surroundings() != self.surroundings:
            raise SurgeryError(
                f"{type(self.module).__name__} runs a part under activation checkpointing or without gradients, which "
                "an edit without source cannot follow; give the module's source, or checkpoint the whole module"
            )
        return handler._run(self.module, None, func, args, kwargs)

    def _handler(self, name: str) -> SiteHandler | None:
        frame = sys._getframe(2)
        _, site = places(frame)
        if site is None or site not in self.handlers or _running(frame) not in (None, self.module):
            return None
        handler = self.handlers[site]
        return (
            handler
            if handler.stages and any(s.op == canonical(name) for t in handler.stages for s in t.values())
            else None
        )


def _surroundings() -> tuple[bool, object]:
    """What activation checkpointing changes around the operations it will run again."""
    return torch.is_grad_enabled(), saving_hooks()


def _running(frame: FrameType | None) -> object:
    """The module whose call is innermost on the stack."""
    while frame is not None:
        module = running_module(frame)
        if module is not None:
            return module
        frame = frame.f_back
    return None
