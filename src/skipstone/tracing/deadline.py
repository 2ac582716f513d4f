"""A limit on the time that code of the user's may take, whatever it does: loops that never end included.

It is the time of the thread's own processor, so that the same code gets as far on a machine that others use too; of
the clock, which code that waits spends too, four times as much.

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
from dataclasses import dataclass, replace
from typing import Any

import torch

_GRACE = 1.0  # seconds past the limit after which the exception comes from outside
_AGAIN = 0.05  # seconds between two tries, for code that catches it and goes on
_BUSY = 4  # seconds of the clock for one of the processor
_OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
_NETWORKS = (_OURS + "models" + os.sep, _OURS + "blocks" + os.sep)
# In a callback of `weakref` an exception is lost, and Python prints it.
_MACHINERY = (_OURS, os.path.dirname(torch.__file__) + os.sep, contextlib.__file__, weakref.__file__)


class OutOfTime(BaseException):
    """No `Exception`, so that a network which catches those goes on no longer."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time of one thread, by the clock and by its processor."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> "Moment":
        return cls(time.monotonic(), time.thread_time())

    def spent(self) -> float:
        """Seconds of this thread's processor since; at least one for four of the clock."""
        return max((time.monotonic() - self.clock) / _BUSY, time.thread_time() - self.processor)


@dataclass(frozen=True, slots=True)
class _Limit:
    begun: Moment
    seconds: float
    busy: float

    def passed(self, processor: Callable[[], float | None] = time.thread_time) -> bool:
        """Has it, by the processor of the thread it is for? Where that is not known, by the clock alone."""
        clock = time.monotonic() - self.begun.clock
        if clock <= self.seconds or clock > self.busy * self.seconds:
            return clock > self.seconds
        now = processor()
        return now is not None and now - self.begun.processor > self.seconds


class Watchdog(threading.Thread):
    """Watches the thread that made it. `limits` are those under way there, the innermost last."""

    def __init__(self) -> None:
        super().__init__(name="skipstone-watchdog", daemon=True)
        self.limits: list[_Limit] = []
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
        if not self.limits:
            return False
        last = self.limits[-1]
        return replace(last, seconds=last.seconds + _GRACE).passed(self._processor)

    def _processor(self) -> float | None:
        """The processor time of the thread watched; None where the system does not tell."""
        if not hasattr(time, "pthread_getcpuclockid"):
            return None
        return time.clock_gettime(time.pthread_getcpuclockid(self._watched))

    def begin(self, seconds: float, busy: float) -> None:
        with self._changing:
            self.limits.append(_Limit(Moment.now(), 0.0 if self.passed else seconds, busy))

    def end(self) -> None:
        """End the innermost limit."""
        with self._changing:
            self.passed |= self.limits.pop().passed()
            if not self.limits:
                self._over.set()


_local = threading.local()


@contextmanager
def time_limit(seconds: float, *, busy: float = _BUSY) -> Iterator[None]:
    """Raise `OutOfTime` within once `seconds` of the processor are over, or `busy` times as many of the clock.

    Within a larger one, the smaller limit holds. `math.inf` is no limit, but one watching thread for all those within,
    and an end to all of them once one has passed.
    """
    outer: Watchdog | None = getattr(_local, "watchdog", None)
    watchdog = outer
    if watchdog is None:
        watchdog = _local.watchdog = Watchdog()
    watchdog.begin(seconds, busy)
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
    if watchdog is not None and watchdog.limits and watchdog.limits[-1].passed():
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
