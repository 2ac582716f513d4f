"""A line for who waits: on a terminal, after a while, and gone before anything else is said."""

import io
import os
import subprocess
import sys
import time

import pytest

from skipstone.programs.saying import waiting

SLOW = """
import time, torch

class Slow(torch.nn.Module):
    def forward(self, x):
        time.sleep(1.5)
        return x @ x

if __name__ == "__main__":
    Slow()(torch.zeros(1, 4))
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def said(monkeypatch, stream, seconds):
    monkeypatch.setattr(sys, "stderr", stream)
    with waiting("looking", patience=0.02):
        time.sleep(seconds)
    return stream.getvalue()


def test_a_line_after_a_while_that_is_wiped_off(monkeypatch):
    line = "skipstone: looking ..."
    assert said(monkeypatch, Terminal(), 0.3) == f"{line}\r{' ' * len(line)}\r"


def test_what_is_printed_meanwhile_comes_in_its_place(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with waiting("looking", patience=0.02) as meanwhile:
        time.sleep(0.3)
        print("hello", file=meanwhile)
        time.sleep(0.05)
    assert stream.getvalue().endswith(" \rhello\n")


def test_nothing_where_it_is_quick_or_nobody_looks(monkeypatch):
    assert said(monkeypatch, Terminal(), 0) == ""
    assert said(monkeypatch, io.StringIO(), 0.1) == ""


@pytest.mark.slow
def test_a_program_on_a_terminal_is_told_of_the_wait(tmp_path):
    pty = pytest.importorskip("pty")
    (tmp_path / "train.py").write_text(SLOW)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "skipstone", "run", "train.py"]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=theirs, check=False)
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    os.close(ours)
    shown = text.decode().replace("\r\n", "\n")
    line = "skipstone: looking at what the network was given ..."
    assert done.returncode == 1
    assert f"{line}\r{' ' * len(line)}\r\nskipstone: Slow, called at train.py:10 with (1, 4)" in shown


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # nobody holds its other end any more
        return b""
