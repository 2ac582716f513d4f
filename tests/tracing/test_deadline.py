"""Limits of time: of a pass, and of what is called of the user's."""

import time
from collections.abc import Callable

import pytest
from torch import nn

from skipstone.tracing import trace
from skipstone.tracing.deadline import OutOfTime, call_foreign, demand_time, time_limit


def test_time_runs_out_in_torch_and_in_python() -> None:
    class Endless(nn.Module):
        def __init__(self, spin) -> None:
            super().__init__()
            self.spin = spin

        def forward(self, x):
            while True:
                x = self.spin(x)

    def caught(x):
        try:
            return x
        except Exception:  # noqa: BLE001 - what the test is about
            return x

    for spin in (lambda x: x + 1, caught):
        graph = trace(Endless(spin), (2, 3), seconds=0.2)
        assert graph.stopped.error == "OutOfTime"
        assert graph.stopped.message == "the pass was not over after 0.2 s"
        assert graph.stopped.place is not None


def test_the_smaller_of_two_limits_holds_and_nothing_runs_after_it() -> None:
    def spin() -> None:
        while True:
            pass

    def limited(seconds: float) -> None:
        with time_limit(seconds):
            call_foreign(spin)

    with time_limit(100):
        with pytest.raises(OutOfTime):
            limited(0.1)
        with pytest.raises(OutOfTime):
            limited(100)
    call_foreign(time.sleep, 0.01)  # and no limit is left behind


def test_a_limit_is_of_the_processor_and_of_the_clock_four_times_as_much() -> None:
    def busy(seconds: float) -> None:
        begun = time.thread_time()
        while time.thread_time() - begun < seconds:
            pass

    def limited(work: Callable[[float], None], seconds: float, **options: float) -> bool:
        with time_limit(0.2, **options):
            work(seconds)
            try:
                demand_time()
            except OutOfTime:
                return False
        return True

    assert limited(time.sleep, 0.4), "others worked in that time"
    assert not limited(time.sleep, 0.9)
    assert not limited(time.sleep, 0.4, busy=1), "as for what a constructor waits for"
    assert limited(busy, 0.1)
    assert not limited(busy, 0.3)
