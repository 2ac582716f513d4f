"""Custom autograd functions while recording: what ran inside them, and checkpointing without running anything twice.

`torch.autograd.Function.apply` goes round the modes that see torch's other functions. While a pass is recorded it is
watched, so that parameters used inside a function count as reached by its gradient. A reentrant checkpoint is run as
what it amounts to: the function itself, with gradients only if one of its tensor arguments wants them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.autograd import Function
from torch.utils.checkpoint import CheckpointFunction

from skipstone.tracing.blame import pass_on
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.torch_internals import BOOKKEEPER

_RECORDER = "skipstone.tracing.recorder"  # its own assumed results are no functions of the user's
Ran = Callable[[object, int], None]


@contextmanager
def watched_functions(count: Callable[[], int], ran: Ran) -> Iterator[None]:
    """Within, `ran(result, first)` follows each custom function; nodes from `first` on were recorded inside it."""
    apply = Function.__dict__["apply"]

    def watched(cls, *args, **kwargs):  # type: ignore[no-untyped-def]
        first = count()
        result = pass_on(
            apply.__get__(None, cls), args, kwargs
        )  # whether Python's class method or, from 2.14, one of C's
        if cls.__module__ not in (_RECORDER, BOOKKEEPER):
            ran(result, first)
        return result

    Function.apply = classmethod(watched)  # type: ignore[method-assign, assignment]
    CheckpointFunction.apply = _checkpointed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Function.apply = apply  # type: ignore[method-assign]
        del CheckpointFunction.apply


def _checkpointed(function, preserve_rng_state, *args):  # type: ignore[no-untyped-def]
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors_in(args))
    with torch.set_grad_enabled(wanted), torch.autograd.graph.saved_tensors_hooks(_same, _same):
        return pass_on(function, args)


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
