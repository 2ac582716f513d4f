"""From an error to the network it came out of: the traceback's own frames hold the module and what it was given.

Nothing needs to be watched for an error in a forward pass. One of a backward pass is met by the loss it started from:
the parameters below it say which of the watched root modules it was.
"""

import traceback
from dataclasses import dataclass
from types import FrameType
from typing import Literal

import torch
from torch import nn

from skipstone.programs.calls import RootCall, Watch
from skipstone.programs.frames import own_place
from skipstone.tracing import Example
from skipstone.tracing.torch_internals import compiled_from, running_module

Phase = Literal["forward", "backward"]


@dataclass(frozen=True)
class Culprit:
    """The root module an error came out of, what it was called with, and the innermost module that was running.

    `place` is the user's own line that called the root, or that started the backward pass: `train.py:40`.
    """

    root: nn.Module
    example: Example
    phase: Phase
    place: str
    inner: nn.Module | None = None
    inner_args: tuple[object, ...] = ()

    @property
    def inner_path(self) -> str:
        """The dotted path of the innermost module in the root, "" for the root itself or where it is not known."""
        return next((path for path, module in self.root.named_modules() if module is self.inner), "")


def culprit_of(error: BaseException, watch: Watch | None = None) -> Culprit | None:
    """The network an error came out of, None where no module's call and no watched backward pass stands in its way."""
    frames = list(traceback.walk_tb(error.__traceback__))
    calls = [number for number, (frame, _) in enumerate(frames) if running_module(frame) is not None]
    if calls:
        return _in_forward(frames, calls)
    return _in_backward(frames, watch) if watch is not None else None


def freed_before(error: BaseException, watch: Watch) -> tuple[RootCall, str] | None:
    """The network that was freed last, and the user's line that started the backward pass an error came out of.

    None where the error came out of something else, or no watched network was freed.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    return (watch.gone, own_place(frames)) if watch.gone is not None and _leaves_below_loss(frames) else None


def _in_forward(frames: list[tuple[FrameType, int]], calls: list[int]) -> Culprit | None:
    outermost, innermost = frames[calls[0]][0].f_locals, frames[calls[-1]][0].f_locals
    root = unwrapped(outermost["self"])
    example = Example(tuple(outermost["args"]), dict(outermost["kwargs"]))
    place = own_place(frames[: calls[0]])
    return Culprit(root, example, "forward", place, innermost["self"], tuple(innermost["args"]))


def _in_backward(frames: list[tuple[FrameType, int]], watch: Watch) -> Culprit | None:
    reached = _leaves_below_loss(frames)
    shares = {module: sum(id(p) in reached for p in module.parameters()) for module, _ in watch.roots()}
    if not any(shares.values()):
        return None
    root = max(shares, key=shares.__getitem__)
    return Culprit(unwrapped(root), watch.last(root).example(), "backward", own_place(frames))


def _leaves_below_loss(frames: list[tuple[FrameType, int]]) -> set[int]:
    """The ids of the leaves below what a running backward pass started from; none where no such pass is running."""
    code = torch.autograd.backward.__code__
    started = next((frame for frame, _ in frames if frame.f_code is code), None)
    losses = started.f_locals.get("tensors") if started is not None else None
    return _leaves_below([losses] if isinstance(losses, torch.Tensor) else list(losses or ()))


def _leaves_below(losses: list[torch.Tensor]) -> set[int]:
    """The ids of the leaves that the losses' backward graphs end in."""
    pending = [loss.grad_fn for loss in losses if isinstance(loss, torch.Tensor)]
    seen: set[object] = set()
    leaves: set[int] = set()
    while pending:
        function = pending.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        variable = getattr(function, "variable", None)
        if variable is not None:
            leaves.add(id(variable))
        pending.extend(source for source, _ in function.next_functions)
    return leaves


def unwrapped(module: nn.Module) -> nn.Module:
    """The network inside what distributes or compiles it: those run it as it is."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif (inner := compiled_from(module)) is not None:
            module = inner
        else:
            return module
