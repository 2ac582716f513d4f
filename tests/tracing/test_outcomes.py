"""Whatever the code of a network does when it is called, a record of it ends, and says how."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch import nn

import skipstone
from skipstone.tracing import trace
from skipstone.tracing.session import is_interrupt

IMAGE = (2, 3, 8, 8)


class Calling(nn.Module):
    """x + conv(x), then what is asked for."""

    def __init__(self, then) -> None:
        super().__init__()
        self.conv, self.then = nn.Conv2d(3, 3, 3, padding=1), then

    def forward(self, x):
        return self.then(x + self.conv(x))


def leave(x):
    sys.exit(0)


def interrupt(x):
    raise KeyboardInterrupt


def leave_a_generator(x):
    raise GeneratorExit


def deep(x):
    return deep(x)


ENDS = {
    "SystemExit": (leave, "it ends the program, with status 0"),
    "KeyboardInterrupt": (interrupt, "it raises KeyboardInterrupt"),
    "GeneratorExit": (leave_a_generator, "it raises GeneratorExit"),
    "RecursionError": (deep, "maximum recursion depth exceeded"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_ends_a_program_ends_the_record_alone(name: str) -> None:
    then, words = ENDS[name]
    report = skipstone.check(Calling(then), IMAGE)
    stopped = report.graph.stopped
    assert stopped.error == name
    assert stopped.message.startswith(words)
    assert stopped.own
    assert stopped.place.file == __file__
    assert any(finding.code == "SK111" for finding in report.findings)


@pytest.mark.parametrize("name", ENDS)
def test_no_size_is_legal_then(name: str) -> None:
    report = skipstone.legal_sizes(Calling(ENDS[name][0]), (2, 3, "h", "h"), h=range(1, 5))
    assert report.rule == "none"
    assert name in report.refusals[0].reason


def test_a_real_interrupt_goes_through() -> None:
    """Raised by nobody's `raise`: by the signal, at any instruction."""
    import signal

    def strike(x):
        signal.raise_signal(signal.SIGINT)
        return x

    with pytest.raises(KeyboardInterrupt) as caught:
        trace(Calling(strike), IMAGE)
    assert is_interrupt(caught.value)


def halved(x):
    while x.norm() > 1:
        x = x * 0.5
    return x


def doubled_until(x):
    while not x.norm() > 1e9:
        x = x * 2
    return x


def counted_down(x):
    while x.sum().item() > 0.5:
        x = x - 1
    return x


def counted_up(x):
    while x.sum().item() < 1000:
        x = x + 1
    return x


def recursive(x):
    return recursive(x * 0.5) if x.norm() > 1 else x


def nested(x):
    while x.max() > 1:
        while x.min() < 0:
            x = x + 1
        x = x - 1
    return x


LOOPS = (halved, doubled_until, counted_down, counted_up, recursive, nested)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_on_data_ends_and_says_what_was_assumed(loop) -> None:
    graph = trace(Calling(loop), IMAGE, seconds=20)
    assert graph.stopped is None
    assert len(graph) < 2000
    if loop is not doubled_until:
        assert any("after 64 times on one line" in assumption.what for assumption in graph.assumptions)


def test_a_condition_that_is_asked_in_every_layer_stays_true() -> None:
    class Layer(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x * 2

    graph = trace(nn.Sequential(*(Layer() for _ in range(100))), (2, 3))
    assert {assumption.what for assumption in graph.assumptions} == {"took a data-dependent condition as true"}
    assert not [node for node in graph if node.op == "mul"]


def spinning(x):
    while x is not None:
        pass


@pytest.mark.parametrize("method", ["auto", "each"])
def test_a_pass_without_end_ends_the_search_for_sizes(method: str, monkeypatch) -> None:
    monkeypatch.setattr("skipstone.sizes.allowance._PATIENCE", 0.2)
    began = time.monotonic()
    report = skipstone.legal_sizes(Calling(spinning), (2, 3, "h", "h"), h=range(1, 5), seconds=0.1, method=method)
    assert time.monotonic() - began < 10
    assert not report.axes[0].checked


def test_a_check_ends_where_its_first_record_does(monkeypatch) -> None:
    """No time is left for its other records, in the other mode or at another batch."""
    monkeypatch.setattr("skipstone.checks.subject.trace", lambda *args, **given: trace(*args, seconds=0.3, **given))
    began = time.monotonic()
    report = skipstone.check(Calling(spinning), IMAGE, run=False)
    assert time.monotonic() - began < 15
    assert report.graph.stopped.error == "OutOfTime"
    assert report.graph.stopped.message == "the pass was not over after 0.3 s"


PRINTS = """
import logging, sys, warnings
from torch import nn

print("imported")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        print(x.shape)
        sys.stdout.write("written")
        warnings.warn("warned")
        logging.getLogger().warning("logged")
        return x + self.c(x)
"""


@pytest.mark.parametrize("arguments", [["check"], ["sizes"], ["check", "--format", "sarif"]])
def test_what_it_prints_is_no_part_of_the_output_for_machines(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(PRINTS)
    shape = "3xHxW" if arguments == ["sizes"] else "3x8x8"
    style = [] if "--format" in arguments else ["--format", "json"]
    command = [sys.executable, "-m", "skipstone.cli", *arguments, "net.py:Net", "--input", shape, *style]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    json.loads(done.stdout)
    assert "Traceback" not in done.stderr
