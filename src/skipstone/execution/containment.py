"""What a run may not leave behind: printed lines, warnings, random numbers drawn, a changed grad mode."""

import io
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

import torch
from torch import nn

from skipstone.tracing.randomness import real_numbers_kept
from skipstone.tracing.session import undisturbed


class _Muted(io.TextIOBase):
    """Swallows what one thread writes; what others write goes where it was going."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    def write(self, text: str) -> int:
        return len(text) if threading.get_ident() == self._thread else self._stream.write(text)

    def flush(self) -> None:
        if threading.get_ident() != self._thread:
            self._stream.flush()

    def close(self) -> None:
        """Nothing: the stream is not ours to close, and may be closed when Python forgets this, in whatever thread."""


@contextmanager
def contained(model: nn.Module, *, draws: bool = True) -> Iterator[None]:
    """Random numbers drawn in it are the caller's again behind it; gradients are on; nothing is printed.

    With `draws` off torch's own generator is left alone: other threads may draw from it meanwhile.
    """
    with ExitStack() as stack:
        stack.enter_context(undisturbed(model))
        if draws:
            stack.enter_context(real_numbers_kept())
        stack.enter_context(redirect_stdout(_Muted(sys.stdout)))
        stack.enter_context(redirect_stderr(_Muted(sys.stderr)))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(torch.enable_grad())
        yield


def begin_random_numbers(seed: int, *, draws: bool = True) -> None:
    """Random numbers of Python and NumPy begin at `seed`, and with `draws` torch's."""
    import random

    if draws:
        if torch.accelerator.is_available():
            torch.manual_seed(seed)
        # The line above notes down the stack for devices that are not there; beside other threads it seeds a copy.
        torch.default_generator.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)
