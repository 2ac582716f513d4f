"""Random numbers as they would have been: what is drawn within is not missing afterwards, here or in another thread.

Python's and NumPy's generators and torch's own are process-wide. Alone in the process, their states are put back
afterwards. Beside other threads that would give these their numbers a second time, so that there the functions of
`random` and `numpy.random` and torch's seed draw from copies, in this thread alone. What a network imported by name
(`from random import random`) draws from the shared state then, as it does outside.
"""

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skipstone.tracing.interpreter import hidden_generators
from skipstone.tracing.torch_internals import COMPILERS

# Whose threads draw nothing: our watchdog and what tells of a wait, torch's that hears from its compilers' processes
# (to the end of the program, in torch 2.6), what runs in every notebook, debuggers, progress bars.
_SERVICES = (
    "skipstone.", COMPILERS, "ipykernel", "IPython", "zmq", "tornado", "debugpy", "pydevd", "_pydev", "tqdm",
    "rich",
)  # fmt: skip


@contextmanager
def own_random_numbers() -> Iterator[None]:
    """Within, this thread may draw and seed: neither it nor any other thread will notice afterwards."""
    with ExitStack() as stack:
        if alone():
            _put_back(stack)
        else:
            _draw_from_copies(stack)
        yield


@dataclass(frozen=True, slots=True)
class Generators:
    """Where everything stands that a network running for real may draw from."""

    cpu: Tensor
    cuda: tuple[Tensor, ...]
    python: Any
    numpy: Any

    @classmethod
    def now(cls) -> "Generators":
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
        numpy = sys.modules.get("numpy")
        state = numpy.random.get_state() if numpy else None
        return cls(torch.default_generator.get_state(), tuple(cuda), random.getstate(), state)

    def put_back(self) -> None:
        torch.default_generator.set_state(self.cpu)
        if self.cuda:
            torch.cuda.set_rng_state_all(list(self.cuda))
        random.setstate(self.python)
        if self.numpy is not None:
            sys.modules["numpy"].random.set_state(self.numpy)


@contextmanager
def real_numbers_kept() -> Iterator[None]:
    """The same around real tensors: what torch draws for them comes from its one generator, whatever thread asks.

    A thread that draws meanwhile is given the same numbers again.
    """
    kept = Generators.now()
    try:
        yield
    finally:
        kept.put_back()


def alone() -> bool:
    """Is this the only thread of the process that may draw random numbers?"""
    return not any(map(_may_draw, threading.enumerate()))


def _may_draw(thread: threading.Thread) -> bool:
    # A thread of a class of theirs, or one that runs a function or a method of theirs.
    makers = (type(thread).__module__, getattr(getattr(thread, "_target", None), "__module__", None) or "")
    service = any(maker.startswith(_SERVICES) for maker in makers) or thread.name == "IOPub"
    return not service and thread is not threading.current_thread()


def _put_back(stack: ExitStack) -> None:
    stack.callback(torch.set_rng_state, torch.get_rng_state())
    stack.callback(random.setstate, random.getstate())
    if numpy := sys.modules.get("numpy"):
        stack.callback(numpy.random.set_state, numpy.random.get_state())


def _draw_from_copies(stack: ExitStack) -> None:
    for module, shared_by_all, copied in hidden_generators():
        _redirect(stack, module, shared_by_all, copied)
    shared = torch.default_generator
    seeded = torch.Generator()
    seeded.set_state(shared.get_state())
    stack.callback(setattr, torch.random, "default_generator", shared)
    torch.random.__dict__["default_generator"] = _Here(shared, seeded)


def _redirect(stack: ExitStack, module: Any, shared: object, copied: object) -> None:
    """The module's functions are methods of one hidden generator: in this thread they become those of the copy."""
    here = threading.get_ident()
    for name, function in list(vars(module).items()):
        if getattr(function, "__self__", None) is shared:
            stack.callback(setattr, module, name, function)
            setattr(module, name, _in_thread(here, getattr(copied, function.__name__), function))


def _in_thread(thread: int, inside: Callable[..., Any], outside: Callable[..., Any]) -> Callable[..., Any]:
    def drawn(*args: Any, **kwargs: Any) -> Any:
        return (inside if threading.get_ident() == thread else outside)(*args, **kwargs)

    return drawn


class _Here:
    """One generator in the thread that made this, another in every other."""

    def __init__(self, shared: torch.Generator, own: torch.Generator) -> None:
        self._shared, self._own, self._thread = shared, own, threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own if threading.get_ident() == self._thread else self._shared, name)
