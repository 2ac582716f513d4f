"""`skipstone search`: what it refuses, and, slowly, a whole search and one that is killed again and again."""

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from skipstone.cli import run
from skipstone.cli.arguments import seconds
from skipstone.core.errors import SkipstoneError
from skipstone.experiments.search import read_found
from skipstone.runs.records import read_run

SEARCH = [sys.executable, "-m", "skipstone.cli", "search"]
TINY = ["--model", "plain8", "--option", "width=4", "--epochs", "2", "--runs", "6", "--seeds", "2", "--finalists", "1",
        "--space", "lr=0.01..0.5:log", "--space", "model=plain8,resnet8", "--workers", "2"]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "plain9"], "no plain of depth 9"),
        (["--space", "lr"], "factor 'lr' is not understood, expected name=low..high"),
        (["--space", "lrr=0.1,0.2"], "unknown factor 'lrr'; nearest: lr"),
        (["--model", "dense20", "--space", "shortcut=A,B"], "unknown factor 'shortcut'"),
        (["--space", "model=dense20,resnet20", "--space", "shortcut=A,B"], "unknown option of dense20 'shortcut'"),
        (["--data", "nope"], "unknown data set 'nope'"),
        (["--budget", "soon"], "time 'soon' is not understood, expected as 90s, 10m or 2h"),
        (["--runs", "0"], "runs is 0, expected at least 1"),
        (["--workers", "0"], "workers is 0, expected at least 1"),
        (["--lr=-1"], "lr is -1.0, expected a number above 0"),
    ],
)
def test_what_cannot_be_searched_is_a_line(tmp_path, capfd, arguments, words):
    assert run(["search", *arguments, "--out", str(tmp_path / "s")]) == 2
    told = capfd.readouterr().err
    assert told.startswith(f"skipstone: {words}")
    assert told.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_times_in_words():
    assert [seconds(text) for text in ("90s", "10m", "1.5h", "20")] == [90, 600, 5400, 20]
    for text in ("", "m", "10d"):
        with pytest.raises(SkipstoneError, match="is not understood"):
            seconds(text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(a search that nobody disturbed, what it printed)"""
    out = tmp_path_factory.mktemp("whole") / "s"
    return out, subprocess.run([*SEARCH, *TINY, "--out", out], capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_a_search_from_the_command_line_and_its_recipe_trains(whole, tmp_path, capsys):
    out, done = whole
    found = read_found(out)
    assert f"trial {found.finalists[0].number}" in done.stdout
    assert "the default" in done.stdout
    assert (out / "finals" / "report.html").is_file()
    assert "trials 000, 001, 002, 003: at most 2 epochs each" in done.stderr
    assert run(["train", "--recipe", str(out / "best.toml"), "--epochs", "1", "--out", str(tmp_path / "t")]) == 0
    spec = read_run(tmp_path / "t").spec
    assert spec.recipe.lr == found.finalists[0].settings["lr"]
    assert spec.model == f"skipstone:{found.finalists[0].settings['model']}"
    capsys.readouterr()
    assert run(["search", *TINY, "--out", str(out), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["finalists"] == found.to_dict()["finalists"]


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(whole, tmp_path):
    """SIGKILL for the process and all it started, at moments drawn anew each time: the result is the same whichever
    they are."""
    killed, draw = tmp_path / "killed", random.Random()
    for _ in range(4):
        process = subprocess.Popen(
            [*SEARCH, *TINY, "--out", killed], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        with suppress(subprocess.TimeoutExpired):
            process.wait(draw.uniform(2, 12))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    done = subprocess.run([*SEARCH, *TINY, "--out", killed], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours, theirs = read_found(whole[0]), read_found(killed)
    assert ours.finalists == theirs.finalists
    assert (ours.default_test, ours.importance) == (theirs.default_test, theirs.importance)
    trials = [json.loads((folder / "trials.json").read_text())["trials"] for folder in (whole[0], killed)]
    assert trials[0] == trials[1]
