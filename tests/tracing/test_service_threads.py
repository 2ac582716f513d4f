"""Threads that serve and draw no random numbers: a record beside them is as one alone."""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.console import Console
from rich.progress import Progress

from skipstone.programs.saying import waiting
from skipstone.tracing.randomness import alone


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with waiting("checking"):
        yield


@contextmanager
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with Progress(console=Console(file=Terminal(), force_terminal=True)):
        yield


@contextmanager
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Torch 2.6 leaves a thread behind that hears from its compilers' processes: a bare one that runs its method."""
    over = threading.Event()
    listen = lambda: over.wait()  # noqa: E731 - its module is written to
    listen.__module__ = "torch._inductor.compile_worker.subproc_pool"
    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("service", [told, shown, compiled])
def test_threads_that_serve_draw_nothing(service, monkeypatch) -> None:
    with service(monkeypatch):
        assert threading.active_count() > 1
        assert alone()
