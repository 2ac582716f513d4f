"""`skipstone train` as a process: kill -9, Ctrl-C, flags, errors."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from skipstone.cli import run
from skipstone.runs.records import Recipe, read_run

ARGUMENTS = [
    "train",
    "--model",
    "skipstone:plain8",
    "--option",
    "width=4",
    "--option",
    "dropout=0.2",
    "--device",
    "cpu",
]


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "skipstone.cli", *ARGUMENTS, "--out", str(folder), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epochs(process: subprocess.Popen, folder: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    metrics = folder / "metrics.jsonl"
    while not metrics.is_file() or metrics.read_text().count("\n") < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no epoch in a minute"
        time.sleep(0.01)


def numbers(folder: Path) -> list:
    return [replace(record, seconds=0.0) for record in read_run(folder).epochs]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Twenty epochs: long enough to be interrupted on any machine, short enough to wait for."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    process = start(folder, "--epochs", "20")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return folder, out, err


def test_results_on_stdout_and_progress_on_stderr(uninterrupted):
    folder, out, err = uninterrupted
    accuracy = read_run(folder).result.test_accuracy
    assert out.startswith(f"skipstone:plain8 on digits, seed 0: test accuracy {100 * accuracy:.2f} %\n")
    assert "points ahead of validation images" in out
    assert [line.split("/")[0].strip() for line in err.splitlines()[1:]] == [str(i) for i in range(1, 21)]


def test_a_run_killed_with_kill_9_resumes_to_the_same_end(uninterrupted, tmp_path):
    process = start(tmp_path / "x", "--epochs", "20")
    wait_for_epochs(process, tmp_path / "x", 3)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = len(read_run(tmp_path / "x").epochs)
    assert 3 <= done < 20
    assert read_run(tmp_path / "x").result is None

    resumed = subprocess.run(
        [sys.executable, "-m", "skipstone.cli", "train", "--resume", "--out", str(tmp_path / "x")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed after epoch" in resumed.stderr
    whole = uninterrupted[0]
    assert numbers(tmp_path / "x") == numbers(whole)
    assert read_run(tmp_path / "x").flow == read_run(whole).flow
    one, other = read_run(tmp_path / "x").result, read_run(whole).result
    assert replace(one, wall_seconds=0, out=None) == replace(other, wall_seconds=0, out=None)


def test_ctrl_c_leaves_a_resumable_run_and_no_traceback(tmp_path):
    process = start(tmp_path / "x", "--epochs", "2000")
    wait_for_epochs(process, tmp_path / "x", 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert f"go on with: skipstone train --resume --out {tmp_path / 'x'}" in err.splitlines()[-1]
    record = read_run(tmp_path / "x")
    assert record.result is None
    assert (tmp_path / "x" / "checkpoint.pt").is_file()
    assert [e.epoch for e in record.epochs] == list(range(1, len(record.epochs) + 1))


def test_recipe_file_and_flags(tmp_path, capsys):
    (tmp_path / "r.toml").write_text('lr = 0.05\nschedule = "cosine"\nclip = 2\n')
    folder = tmp_path / "x"
    status = run(
        [*ARGUMENTS, "--epochs", "1", "--recipe", str(tmp_path / "r.toml"), "--lr", "0.02", "--no-nesterov",
         "--seed", "3", "--no-flow", "--options", "norm=group", "--format", "json", "--out", str(folder)]
    )  # fmt: skip
    assert status == 0
    record = read_run(folder)
    assert record.spec.recipe == Recipe(lr=0.02, schedule="cosine", clip=2.0, nesterov=False)
    assert record.spec.options == {"width": 4, "dropout": 0.2, "norm": "group"}
    assert (record.spec.seed, record.spec.flow) == (3, False)
    assert json.loads(capsys.readouterr().out) == json.loads((folder / "result.json").read_text())

    assert run(["train", "--resume", "--out", str(folder), "--lr", "0.02"]) == 0  # the same value is no contradiction
    assert run(["train", "--resume", "--out", str(folder), "--lr", "0.03"]) == 2
    assert "holds the run of another spec: recipe is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--out", "x"], "no network to train; give --model, or --resume"),
        (["train", "--out", "x", "--resume"], "x holds no run to resume; start one without --resume"),
        ([*ARGUMENTS, "--out", "x", "--option", "width"], "option 'width' is not understood, expected name=value"),
        ([*ARGUMENTS, "--out", "x", "--lr", "-1"], "lr is -1.0, expected a number above 0"),
        ([*ARGUMENTS, "--out", "x", "--epochs", "0"], "epochs is 0, expected at least 1"),
        ([*ARGUMENTS, "--out", "x", "--data", "cifar10", "--data-dir", "nowhere"], "nowhere: no such file or folder"),
        ([*ARGUMENTS, "--out", "x", "--recipe", "no.toml"], "no.toml: cannot be read as TOML"),
        (["train", "--model", "net.py:Net", "--out", "x"], "net.py"),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert line.startswith("skipstone: ")
    assert message in line
    assert not Path("x").exists()


def test_help_imports_neither_torch_nor_lightning():
    code = (
        "import sys; from skipstone.cli import run; status = run(['train', '--help']);"
        "loaded = {'torch', 'lightning_fabric', 'sklearn', 'numpy'} & set(sys.modules);"
        "sys.exit(str(loaded) if loaded else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--batch-size" in done.stdout
