import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from skipstone.cli import run
from skipstone.core.literals import split
from skipstone.runs.records import read_run

COMPARE = [sys.executable, "-m", "skipstone.cli", "compare"]
TINY = ["--data", "digits", "--seeds", "2", "--epochs", "2", "--option", "width=4", "--workers", "2"]


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of a comparison run once, from the command line, for all tests here."""
    folder = tmp_path_factory.mktemp("compare") / "out"
    command = [
        sys.executable,
        "-m",
        "skipstone.cli",
        "compare",
        "--models",
        "plain8,resnet8",
        *TINY,
        "--out",
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


def test_compare_prints_a_table_and_the_path_of_the_report(out):
    text = (out / "stdout").read_text()
    assert "network" in text
    assert "plain8" in text
    assert "resnet8" in text
    assert f"report: {out / 'report.html'}" in text.replace("\n", "")
    assert "2 seeds a network are few" in text
    assert (out / "stderr").read_text() == "4 runs of 2 epochs on digits\n"
    assert (out / "report.html").is_file()


def test_every_run_left_a_folder(out):
    for model in ("plain8", "resnet8"):
        for seed in (0, 1):
            record = read_run(out / "runs" / f"{model}_seed{seed}")
            assert record.result is not None
            assert [flow.epoch for flow in record.flow] == [0, 1, 2]
            assert record.environment["threads"] == 1


def test_what_is_complete_is_not_run_again(out, capfd):
    before = (out / "runs" / "plain8_seed0" / "result.json").stat().st_mtime_ns
    assert run(["compare", "--models", "plain8,resnet8", *TINY, "--out", str(out), "--format", "json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert {outcome["status"] for outcome in found["outcomes"]} == {"kept"}
    assert [group["label"] for group in found["groups"]] == ["plain8", "resnet8"]
    assert (out / "runs" / "plain8_seed0" / "result.json").stat().st_mtime_ns == before


def test_another_recipe_in_the_same_folder_is_refused(out, capsys):
    assert run(["compare", "--models", "plain8", *TINY, "--out", str(out), "--lr", "0.05"]) == 2
    assert "holds another run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--models", "plain9,plain8"], "no plain of depth 9"),
        (["--models", "plain8", "--data", "nope"], "unknown data set 'nope'; known: cifar10, cifar100, digits"),
        (["--models", "plain8", "--device", "nope"], "device 'nope' cannot be used"),
        (["--models", "plain8", "--vary", "nope=1,2"], "unknown option of plain8 'nope'"),
        (["--models", "plain8", "--data", "nope", "--plan"], "unknown data set 'nope'"),
        (["--models", "plain8", "--budget", "2m"], "--epochs and --budget both say how long a run is"),
        (["--models", "plain8", "--recipe", "he2016"], "unknown recipe 'he2016'; nearest: he2015"),
    ],
)
def test_what_no_run_could_be_is_refused_before_the_first(tmp_path, capfd, arguments, words):
    assert run(["compare", *arguments, "--seeds", "2", "--epochs", "1", "--out", str(tmp_path / "c")]) == 2
    told = capfd.readouterr()
    assert told.err.startswith(f"skipstone: {words}")
    assert told.err.count("\n") == 1
    assert not list(tmp_path.glob("c/*"))


def test_a_recipe_by_name_and_a_budget(tmp_path, capfd):
    flags = ["--seeds", "1", "--option", "width=4", "--recipe", "he2015", "--batch-size", "64"]
    assert run(["compare", "--models", "plain8", *flags, "--budget", "3s", "--out", str(tmp_path / "c")]) == 0
    spec = read_run(tmp_path / "c" / "runs" / "plain8_seed0").spec
    assert (spec.recipe.schedule, spec.recipe.padding, spec.recipe.batch_size) == ("step", "zeros", 64)
    assert 1 <= spec.epochs != 164
    assert "time" in (tmp_path / "c" / "report.html").read_text()
    assert run(["compare", "--models", "plain8", *flags, "--budget", "soon", "--out", str(tmp_path / "e")]) == 2
    assert "time 'soon' is not understood, expected as 90s, 10m or 2h" in capfd.readouterr().err


BRACKETS = """
from torch import nn


class Boom(nn.Module):
    def __init__(self, tag="[/b]"):
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        if self.training:
            raise FileNotFoundError("no weights in [/home/me/weights] or [bold]there[/bold]")
        return self.fc(x.flatten(1))


class Fine(Boom):
    def forward(self, x):
        return self.fc(x.flatten(1))
"""


def test_brackets_in_a_networks_name_and_error_are_no_markup(tmp_path, monkeypatch, capfd):
    folder = tmp_path / "a [red] folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "nets[1].py").write_text(BRACKETS)
    models = "nets[1].py:Boom,nets[1].py:Fine('[/b]')"
    assert run(["compare", "--models", models, "--seeds", "1", "--epochs", "1", "--workers", "1", "--out", "c"]) == 1
    out, err = capfd.readouterr()
    for text in (out, err):
        assert "no weights in [/home/me/weights] or [bold]there[/bold]" in " ".join(text.split())
    assert "nets[1].py:Fine('[/b]')" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--models", "plain8", "--option", "width"], "option 'width' is not understood, expected name=value"),
        (["--models", "plain8", "--lr=-1"], "lr is -1.0, expected a number above 0"),
        (["--models", ","], "models: nothing given"),
        (["--models", "plain8", "--workers=-2"], "workers is -2, expected at least 1 run at a time"),
    ],
)
def test_compare_could_not_run(arguments, text, tmp_path, capsys):
    assert run(["compare", *arguments, "--out", str(tmp_path)]) == 2
    assert text in capsys.readouterr().err


def test_commas_within_parentheses_do_not_split():
    assert split("plain20, net.py:Net(3, (4, 5)),b") == ["plain20", "net.py:Net(3, (4, 5))", "b"]


@pytest.mark.slow
def test_ctrl_c_leaves_runs_that_the_same_command_finishes(tmp_path):
    command = [
        *COMPARE,
        "--models",
        "plain20",
        "--seeds",
        "2",
        "--epochs",
        "12",
        "--option",
        "width=4",
        "--out",
        tmp_path,
    ]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    metrics = tmp_path / "runs" / "plain20_seed0" / "metrics.jsonl"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not (metrics.is_file() and metrics.read_text().count("\n") >= 2):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    cut = read_run(tmp_path / "runs" / "plain20_seed0")
    assert cut.result is None
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    resumed = read_run(tmp_path / "runs" / "plain20_seed0").epochs
    assert len(resumed) == 12
    for ours, theirs in zip(cut.epochs, resumed, strict=False):
        assert replace(ours, seconds=0) == replace(theirs, seconds=0)


@pytest.mark.slow
def test_runs_end_with_the_process_that_started_them(tmp_path):
    command = [
        *COMPARE,
        "--models",
        "plain20",
        "--seeds",
        "1",
        "--epochs",
        "200",
        "--option",
        "width=4",
        "--out",
        tmp_path,
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    metrics = tmp_path / "runs" / "plain20_seed0" / "metrics.jsonl"
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not metrics.is_file():
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(2)
    epochs = metrics.read_text().count("\n")
    time.sleep(2)
    assert metrics.read_text().count("\n") == epochs
