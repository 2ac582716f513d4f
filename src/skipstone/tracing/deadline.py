"""A limit on the time that code of the user's may take, whatever it does: loops that never end included.

Where operations of torch pass by, the limit is looked at between them. Code that calls none for a second longer gets
the exception from outside, by a watching thread, and only while it stands in code that is neither ours nor torch's.
"""

import contextlib
import ctypes
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_GRACE = 1.0  # seconds past the limit after which the exception comes from outside
_AGAIN = 0.05  # seconds between two tries, for code that catches it and goes on
_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
_NETWORKS = (_OURS + "models" + os.sep, _OURS + "blocks" + os.sep)
# In a callback of `weakref` an exception is lost, and Python prints it.
_MACHINERY = (_OURS, os.path.dirname(torch.__file__) + os.sep, contextlib.__file__, weakref.__file__)


class OutOfTime(BaseException):
    """No `Exception`, so that a network which catches those goes on no longer."""


class Watchdog(threading.Thread):
    """Watches the thread that made it. `ends` are the limits under way there, the innermost last."""

    def __init__(self) -> None:
        super().__init__(name="skipstone-watchdog", daemon=True)
        self.ends: list[float] = []
        self.passed = False  # once a limit has passed, none of those that follow lets anything run
        self._watched = threading.get_ident()
        self._over = threading.Event()
        self._changing = threading.Lock()

    def run(self) -> None:
        while not self._over.wait(_AGAIN if self._late() else _GRACE):
            with self._changing:
                if self._late() and _in_foreign_code(self._watched):
                    _raise_in(self._watched, OutOfTime)

    def _late(self) -> bool:
        return bool(self.ends) and time.monotonic() > self.ends[-1] + _GRACE

    def begin(self, seconds: float) -> None:
        with self._changing:
            self.ends.append(time.monotonic() + (0.0 if self.passed else seconds))

    def end(self) -> None:
        """End the innermost limit."""
        with self._changing:
            self.passed |= time.monotonic() > self.ends.pop()
            if not self.ends:
                self._over.set()


_local = threading.local()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` within once `seconds` are over; within a larger one, the smaller limit holds.

    `math.inf` is no limit, but one watching thread for all those within, and an end to all of them once one has passed.
    """
    outer: Watchdog | None = getattr(_local, "watchdog", None)
    watchdog = outer
    if watchdog is None:
        watchdog = _local.watchdog = Watchdog()
    watchdog.begin(seconds)
    if outer is None:
        watchdog.start()
    try:
        yield
    finally:
        watchdog.end()
        _local.watchdog = outer


def demand_time() -> None:
    """Raise `OutOfTime` where the innermost limit of this thread has passed."""
    watchdog: Watchdog | None = getattr(_local, "watchdog", None)
    if watchdog is not None and watchdog.ends and time.monotonic() > watchdog.ends[-1]:
        raise OutOfTime


def call_foreign(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call code of the user's: an exception from outside arrives before this returns, and never in code of ours."""
    _local.calls = num_foreign_calls() + 1
    try:
        return function(*args, **kwargs)
    finally:
        _local.calls -= 1
        for _ in range(2):  # an interpreter looks for such exceptions where a loop goes back
            pass


def num_foreign_calls() -> int:
    """How many such calls are under way in this thread: more than one where the user's code calls us in its turn."""
    return getattr(_local, "calls", 0)


def is_foreign(file: str) -> bool:
    """Neither ours nor torch's; our networks and blocks are code like any user's."""
    return not file.startswith(_MACHINERY) or file.startswith(_NETWORKS)


def _in_foreign_code(thread: int) -> bool:
    frame = sys._current_frames().get(thread)
    return frame is not None and is_foreign(frame.f_code.co_filename)


def _raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an exception in another thread, at its next step."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


NO_LIMIT = math.inf
