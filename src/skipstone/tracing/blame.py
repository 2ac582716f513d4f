"""Whose fault is it: the network's (or what torch says to it), or skipstone's own?

An error in a recorded pass has come through frames of the network, of torch and of the recorder by turns, since the
recorder stands between the network and torch. Whatever it calls because the network did goes through `pass_on`: what
is raised from there on inwards is the answer to the network's own call.
"""

import os
import sysconfig
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from skipstone.core.errors import InternalError, SkipstoneError
from skipstone.core.faults import internal_error
from skipstone.tracing.position import is_ours
from skipstone.tracing.torch_files import FOLDER
from skipstone.tracing.torch_internals import KernelError

_STANDARD = sysconfig.get_path("stdlib") + os.sep
# Said on purpose, or for want of room on whosever frame happened to be the last.
_NEVER = (SkipstoneError, KernelError, RecursionError, MemoryError)


def pass_on(function: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
    """Call what the network called."""
    return function(*args, **(kwargs or {}))


def raise_if_ours(error: Exception) -> None:
    """Raise an `InternalError` where skipstone's own code made this error, or torch where skipstone used it."""
    if isinstance(error, InternalError):
        raise error
    if not isinstance(error, _NEVER) and _is_ours(error):
        raise internal_error(error) from error


def _is_ours(error: Exception) -> bool:
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        if frame.f_code is pass_on.__code__:
            return False
        file = frame.f_code.co_filename
        if is_ours(file):
            return True
        if not is_library(file):
            return False  # code of the user's that skipstone called: a hook, a property
    return False


@cache
def is_library(file: str) -> bool:
    """Code that does what it is asked to: to blame is whoever called it."""
    return file.startswith((FOLDER, _STANDARD, "<")) or f"{os.sep}site-packages{os.sep}" in file
