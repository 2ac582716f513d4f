"""Custom autograd functions while recording: what ran inside them, and checkpointing without running anything twice.

`torch.autograd.Function.apply` goes round the modes that see torch's other functions. While a pass is recorded it is
watched, so that parameters used inside a function count as reached by its gradient. A reentrant checkpoint is run as
what it amounts to: the function itself, with gradients only if one of its tensor arguments wants them.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.utils.checkpoint as torch_checkpoint
from torch.autograd import Function
from torch.utils.checkpoint import CheckpointFunction

from skipstone.tracing.blame import pass_on
from skipstone.tracing.checkpoints import Checkpoints
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.torch_files import AROUND_CHECKPOINT, BOOKKEEPER

_ASSUMED = "skipstone.tracing.assumed"  # its own assumed results are no functions of the user's
Ran = Callable[[object, int], None]


class _Watcher(threading.local):
    """Who follows the functions of this thread.

    What counts the nodes so far, what is told of a function's end, and who is told of checkpointed calls.
    """

    current: tuple[Callable[[], int], Ran, Checkpoints] | None = None


_watcher = _Watcher()


@contextmanager
def watched_functions(count: Callable[[], int], ran: Ran, checkpoints: Checkpoints) -> Iterator[None]:
    """Within, `ran(result, first)` follows each custom function; nodes from `first` on were recorded inside it.

    Only in this thread, and one thread at a time (the caller holds a lock). Within another one it takes over.
    """
    outer = _watcher.current
    _watcher.current = count, ran, checkpoints
    try:
        with nullcontext() if outer else _patched():
            yield
    finally:
        _watcher.current = outer


@contextmanager
def _patched() -> Iterator[None]:
    apply = Function.__dict__["apply"]
    generator: Any = getattr(torch_checkpoint, AROUND_CHECKPOINT, None)

    def watched(cls, *args, **kwargs):  # type: ignore[no-untyped-def]
        original = apply.__get__(None, cls)  # whether Python's class method or, from 2.14, one of C's
        if _watcher.current is None:
            return original(*args, **kwargs)
        count, ran, _ = _watcher.current
        first = count()
        result = pass_on(original, args, kwargs)
        if cls.__module__ not in (_ASSUMED, BOOKKEEPER):
            ran(result, first)
        return result

    def checkpointed(cls, function, preserve_rng_state, *args):  # type: ignore[no-untyped-def]
        if _watcher.current is None:
            return apply.__get__(None, cls)(function, preserve_rng_state, *args)
        wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors_in(args))
        _, _, checkpoints = _watcher.current
        tensors = [argument for argument in args if isinstance(argument, torch.Tensor)]
        hooks = torch.autograd.graph.saved_tensors_hooks(_same, _same)
        with checkpoints.calling(tensors, reentrant=True), torch.set_grad_enabled(wanted), hooks:
            return pass_on(function, args)

    def around(*given: Any, **named: Any) -> Iterator[None]:
        if _watcher.current is None:
            yield from generator(*given, **named)
            return
        _, _, checkpoints = _watcher.current
        arguments = given[1] if isinstance(given[1], tuple) else given
        with checkpoints.calling([value for value in arguments if isinstance(value, torch.Tensor)], reentrant=False):
            yield from generator(*given, **named)

    Function.apply = classmethod(watched)  # type: ignore[method-assign, assignment]
    CheckpointFunction.apply = classmethod(checkpointed)  # type: ignore[method-assign, assignment]
    if generator is not None:
        setattr(torch_checkpoint, AROUND_CHECKPOINT, around)
    try:
        yield
    finally:
        Function.apply = apply  # type: ignore[method-assign]
        del CheckpointFunction.apply
        if generator is not None:
            setattr(torch_checkpoint, AROUND_CHECKPOINT, generator)


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
