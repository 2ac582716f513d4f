"""SIGKILL at twenty moments drawn at random, of `train` and of `compare`: each time the same command goes on, and what
comes of it is what an undisturbed run gives. A clock that jumps changes nothing either."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from skipstone.cli import run
from skipstone.runs.records import RunSpec, read_run
from skipstone.training import train

KILLS = 20


def numbers(folder: Path) -> list:
    return [replace(record, seconds=0.0) for record in read_run(folder).epochs]


def same_end(one: Path, other: Path) -> bool:
    ours, theirs = (replace(read_run(folder).result, wall_seconds=0, out=None) for folder in (one, other))
    return numbers(one) == numbers(other) and ours == theirs and read_run(one).flow == read_run(other).flow


@pytest.mark.slow
def test_train_killed_twenty_times(tmp_path):
    def command(folder: Path, *more: str) -> list[str]:
        return [
            "train", "--model", "skipstone:plain8", "--option", "width=4", "--option", "dropout=0.2", "--epochs", "60",
            "--device", "cpu", "--out", str(folder), *more,
        ]  # fmt: skip

    assert run(command(tmp_path / "whole")) == 0
    cut, moments, killed = tmp_path / "cut", random.Random(1), 0
    while killed < KILLS:
        child = os.fork()
        if child == 0:
            resume = ["--resume"] if (cut / "spec.json").is_file() else []
            os._exit(run(command(cut, *resume)))
        time.sleep(moments.uniform(0.0, 4.0))
        os.kill(child, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL:
            killed += 1
        else:  # it was faster: the same once more
            assert same_end(cut, tmp_path / "whole")
            shutil.rmtree(cut)
    assert run(command(cut, *(["--resume"] if cut.is_dir() else []))) == 0
    assert same_end(cut, tmp_path / "whole")


@pytest.mark.slow
def test_compare_killed_twenty_times(tmp_path):
    def command(folder: Path) -> list[str]:
        return [
            sys.executable, "-m", "skipstone.cli", "compare", "--models", "plain8,resnet8", "--option", "width=4",
            "--seeds", "2", "--epochs", "40", "--workers", "2", "--out", str(folder),
        ]  # fmt: skip

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    moments, finished = random.Random(2), {}
    for _ in range(KILLS):
        process = subprocess.Popen(command(tmp_path / "cut"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(0.5, 9.0))
        process.kill()
        process.wait()
        for path, content in finished.items():
            assert path.read_bytes() == content, "what is finished is not trained again"
        finished |= {path: path.read_bytes() for path in (tmp_path / "cut").glob("runs/*/result.json")}
    done = subprocess.run(command(tmp_path / "cut"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folders = sorted((tmp_path / "whole" / "runs").iterdir())
    assert len(folders) == 4
    for folder in folders:
        assert same_end(tmp_path / "cut" / "runs" / folder.name, folder)
    assert not list((tmp_path / "cut").rglob("*.partial"))


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    spec = RunSpec(model="skipstone:plain8", options={"width": 4}, epochs=2, device="cpu", flow=False)
    train(replace(spec, out=str(tmp_path / "steady")))
    jumps = iter(range(10**9, 0, -(10**6)))
    for name in ("time", "time_ns"):
        monkeypatch.setattr(time, name, lambda: next(jumps))
    result = train(replace(spec, out=str(tmp_path / "jumping")))
    assert numbers(tmp_path / "jumping") == numbers(tmp_path / "steady")
    assert 0 < result.wall_seconds < 600
    assert all(0 < epoch.seconds < 300 for epoch in read_run(tmp_path / "jumping").epochs)
