"""Every error is one line that names the value and what would be right, with status 2; none is a traceback."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from skipstone.cli import boundary, run
from skipstone.core.errors import InternalError

NET = """import sys
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)
        self.b = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.b(x + self.a(x))


class Exits(Net):
    def forward(self, x):
        sys.exit(0)


class Prints(Net):
    def forward(self, x):
        print("from the forward")
        return super().forward(x)


class Large(Net):
    def __init__(self):
        super().__init__()
        self.large = nn.Parameter(torch.empty(10**14))


class Tires(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.steps = nn.Linear(64, 10), 0

    def forward(self, x):
        self.steps += 1
        if self.steps > 5:
            raise ValueError("tired of [/bold] and [red]")
        return self.layer(x.flatten(1))


def leaves():
    raise SystemExit(3)


class Odd(Exception):
    def __str__(self):
        raise ValueError("no text")


class Interrupts(Net):
    def forward(self, x):
        raise KeyboardInterrupt


def interrupts():
    raise KeyboardInterrupt("by the code itself")


def is_odd():
    raise Odd


def colours():
    raise ValueError("\x1b[31mred\x1b[0m")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys, arguments):
    """The one line that a command which cannot run says."""
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert told.err.count("\n") == 1, told.err
    assert told.err.startswith("skipstone: ")
    assert "Traceback" not in told.err
    return told.err


TRAIN = ["train", "--model", "skipstone:plain8", "--epochs", "1", "--out", "run"]
CHECK = ["check", "net.py:Net", "-i", "3x8x8"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "net.py:Large", "-i", "3x8x8"], "can't allocate memory"),
        (["check", "net.py:leaves", "-i", "3x8x8"], "leaves raised SystemExit: 3"),
        (["check", "net.py:interrupts", "-i", "3x8x8"], "interrupts raised KeyboardInterrupt: by the code itself"),
        (["check", "net.py:is_odd", "-i", "3x8x8"], "Odd: its text cannot be had, Odd.__str__ raises ValueError"),
        (["check", "net.py:colours", "-i", "3x8x8"], r"ValueError: \x1b[31mred\x1b[0m"),
        (["check", "a\0b.py:Net", "-i", "3x8x8"], "a name holds a NUL character"),
        (
            ["train", "--model", "net.py:Interrupts", "--out", "run"],
            "cannot take digits's images (2, 1, 8, 8): Keyboard",
        ),
        (["check", "net.py:Net", "-i", "3x99999999999x99999999999"], "no memory holds more than 1,099,511,627,776"),
        (["check", "net.py:Net", "-i", "3x" + "9" * 5000], "more than 18 digits"),
        (["check", "net.py:Net", "-i", "x".join(["2"] * 40)], "41 axes; at most 16"),
        (["check", "net.py:Net", "-i", "3xHxW"], "has the letter H where a size is needed"),
        (["check", "net.py:Net", "-i", "3x٣x8"], "is not understood"),
        (["check", "net.py:Net(" + "[" * 300 + "]" * 300 + ")", "-i", "3x8x8"], "is not written like Name"),
        ([*CHECK, "--baseline", "/"], "/: Is a directory; give a file, not a folder"),
        ([*CHECK, "--baseline", "net.py"], "is no JSON"),
        (
            [*CHECK, "--write-baseline", "no/known.json"],
            "no: No such file or directory; give a path whose folder exists",
        ),
        (["show", "net.py:Net", "-i", "3x8x8", "--svg", "no/net.svg"], "cannot be written: there is no folder no"),
        (["show", "net.py:Net", "-i", "3x8x8", "--svg", "."], "is a folder; give a file"),
        (["connect", "net.py:Net", "a", "b", "-i", "3x8x8", "--out", "no/net.pt"], "there is no folder no"),
        (["ablate", "net.py:Net"], "no example input; give one such as --input 3x32x32"),
        (["ablate", "gone.py:Net"], "there is no file gone.py"),
        (["flow", "gone.py:Net"], "there is no file gone.py"),
        (["ablate", "skipstone:plain8(num_classes=10)", "--each", "--weights", "net.py"], "no file of weights alone"),
        (["sizes", "net.py:Net", "-i", "3xHxW", "--range", "1:1000000000"], "at most 1,048,576 sizes"),
        (["sizes", "net.py:Net", "-i", "3xHxW", "--range", "1:" + "9" * 30], "is not understood; write FIRST:END"),
        (
            ["sizes", "net.py:Net", "-i", "3xHxW", "--seconds", "nan"],
            "seconds is nan, expected a number of them, more than 0",
        ),
        (["sizes", "net.py:Net", "-i", "3xHxW:float99"], "unknown dtype 'float99'"),
        ([*TRAIN, "--device", "cpu:7"], "device is 'cpu:7', and there is one cpu; write cpu"),
        ([*TRAIN, "--split-seed", "99999999999"], "split_seed is 99999999999, expected 0 or more and below 2**32"),
        (["explain", ""], "unknown code, design or word ''"),
        (["models", "resnet20(", "--costs"], "is not written like"),
    ],
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[:40],
)
def test_what_cannot_be_is_one_line(folder, capsys, arguments, words):
    assert words in refused(capsys, arguments)


@pytest.mark.parametrize("command", ["check", "show", "sizes", "connect", "diff"])
def test_a_network_that_ends_the_program_is_no_clean_network(folder, capsys, command):
    more = {"connect": ["a", "b"], "diff": ["net.py:Net"]}.get(command, [])
    size = "3xHxW" if command == "sizes" else "3x8x8"
    status = run([command, "net.py:Exits", *more, "-i", size])
    out, err = capsys.readouterr()
    assert status in (1, 2)
    assert "Traceback" not in out + err
    # A module that never ran is told by its name, a size by what it raised, all others by the line.
    words = {"connect": "'a' does not run", "sizes": "SystemExit: 0"}.get(command, "net.py:18")
    assert words in out + err


def test_nothing_is_trained_where_nothing_can_be_written(folder, capsys):
    started = time.monotonic()
    (folder / "file").write_text("")
    assert run(["compare", "--models", "plain8", "--seeds", "3", "--epochs", "500", "--out", "file/out"]) == 2
    assert "Not a directory" in capsys.readouterr().err
    assert time.monotonic() - started < 60


def test_a_network_that_raises_in_mid_training_is_told_with_its_line(folder, capsys):
    (folder / "out").mkdir()
    assert run(["train", "--model", "net.py:Tires", "--data", "digits", "--epochs", "1", "--out", "out/r"]) == 2
    err = capsys.readouterr().err
    assert "ValueError: tired of [/bold] and [red]" in err
    assert "net.py:41" in err
    assert "Traceback" not in err


def test_what_a_network_prints_stays_out_of_our_output(folder, capsys):
    assert run(["check", "net.py:Prints", "-i", "3x8x8", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["findings"] == []
    assert "from the forward" in err


def test_a_fault_of_ours_is_told_as_ours(capsys):
    def broken():
        return {}["no such key"]

    # The function stands in a test, which is no code of the package's: made to, it is taken for the package's own.
    code = compile("def broken():\n    return {}['no such key']\n", boundary.__file__, "exec")
    made = {}
    exec(code, made)
    assert boundary.guarded(made["broken"]) == 2
    err = capsys.readouterr().err
    assert "skipstone failed, and the network is not to blame: KeyError: 'no such key'" in err
    assert "torch 2" in err
    assert boundary.guarded(broken) == 2
    assert "test_boundary.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "a.json"),
            "a.json: Permission denied; give one that may be",
        ),
        (OSError(errno.ENOSPC, "No space left on device", "/disk/.skipstone-ab.partial"), "/disk: No space left"),
        (MemoryError("Unable to allocate 9 GiB"), "not enough memory (Unable to allocate 9 GiB)"),
        (UnicodeDecodeError("utf-8", b"ab\xff", 2, 3, "bad"), "byte 0xff at 2; save it as UTF-8"),
        (UnicodeEncodeError("ascii", "é", 0, 1, "bad"), "'é' cannot be written in ascii"),
        (RecursionError("deep"), "nested too deeply"),
        (OverflowError("int too large"), "a number is too large: int too large"),
        (SystemExit(4), "SystemExit(4)"),
        (InternalError("skipstone failed"), "skipstone failed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_in_words(capsys, error, words):
    def command():
        raise error

    assert boundary.guarded(command) == 2
    assert words in capsys.readouterr().err


def test_a_reader_of_the_help_that_has_gone_is_no_error(capsys):
    """Rich ends the program by SystemExit(1) then; `skipstone train --help | head -1` blamed the network for it."""

    def command():
        try:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
        except BrokenPipeError:
            raise SystemExit(1)  # noqa: B904 - as rich raises it

    assert boundary.guarded(command) == 0
    assert capsys.readouterr().err == ""


# ---- the process itself: streams, names, signals


def skipstone(*arguments, **how):
    command = [sys.executable, "-m", "skipstone", *arguments]
    return subprocess.run(command, capture_output=how.pop("capture", True), check=False, timeout=120, **how)


SHOW = ("show", "net.py:Net", "-i", "3x8x8")


def test_a_full_stdout_is_told(folder):
    with open("/dev/full", "w") as full:
        done = skipstone(*SHOW, capture=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert b"cannot write to standard output: No space left on device" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_closed_streams_end_nothing(folder):
    command = f"{sys.executable} -m skipstone {' '.join(SHOW)} <&- >&- 2>&-"
    assert subprocess.run(command, shell=True, check=False, timeout=120).returncode == 0


def test_an_ascii_terminal_gets_the_drawing_in_ascii(folder):
    done = skipstone(*SHOW, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stderr == b""
    out = done.stdout.decode("ascii")
    assert "+- input0" in out or "+- " in out
    assert "+> " in out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_file_name_that_is_no_text(folder):
    name = os.fsdecode(b"n\xffet.py")
    (folder / name).write_text(NET)
    done = skipstone("check", f"{name}:Net", "-i", "3x8x8")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"n\xffet.py:Net" in done.stdout
    done = skipstone("check", f"{name}:Exits", "-i", "3x8x8", "--format", "json")
    assert b"Traceback" not in done.stderr


def test_a_folder_that_is_gone(folder):
    (folder / "gone").mkdir()
    command = f"cd gone && rmdir ../gone && {sys.executable} -m skipstone check ../net.py:Net -i 3x8x8"
    done = subprocess.run(command, shell=True, capture_output=True, check=False, timeout=120)
    assert done.returncode == 2
    assert done.stderr == b"skipstone: the working folder does not exist any more; change into one that does\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_command_with_one_line(folder, number, status):
    (folder / "slow.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "skipstone", "check", "slow.py:Net", "-i", "3x8x8"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr.readline() == b"here\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert err == b"skipstone: interrupted\n"


def test_python_m_skipstone_is_the_command():
    done = skipstone("explain", "SK102")
    assert done.returncode == 0
    assert done.stdout.startswith(b"SK102 spatial-mismatch")
