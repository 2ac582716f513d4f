"""Break a system call on purpose: the n-th one of those that change files kills the process or finds the disk full."""

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

CHANGING = ("open", "write", "fsync", "replace", "rename", "link", "unlink", "mkdir", "chmod")
"""What can change a file or a folder, by its name in `os`."""


@contextmanager
def breaking(at: int, how: Callable[..., None]) -> Iterator[list[str]]:
    """Within it the changing calls of `os` are counted from 1, and number `at` is broken by `how`; 0 breaks none.

    A write that is broken writes half of its bytes first, the worst that can be left. Yields the calls so far.
    """
    made: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            made.append(name)
            if len(made) == at:
                if name == "write":
                    descriptor, data = arguments
                    real(descriptor, memoryview(data)[: len(data) // 2])
                how(name, *arguments)
            return real(*arguments, **named)

        return call

    with patch.multiple(os, **{name: counted(name, getattr(os, name)) for name in CHANGING}):
        yield made


def kill(name: str, *arguments: object) -> None:
    """Die as by the kernel's hand, nothing unwound."""
    os.kill(os.getpid(), signal.SIGKILL)


def full_disk(name: str, *arguments: Any) -> None:
    """What the kernel answers where no space is left: names may still be moved and removed, and folders opened."""
    makes = name == "open" and arguments[1] & os.O_CREAT
    if makes or name in ("write", "fsync", "mkdir", "link"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def in_child(work: Callable[[], None]) -> int:
    """Do `work` in a forked process; its exit status, negative for the signal that killed it."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
