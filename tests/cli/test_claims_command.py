"""`skipstone claims`: listed, tried, refused; and, slowly, a whole claim over real processes, killed on the way."""

import json
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from skipstone.cli import run
from skipstone.experiments.claims import CLAIMS, read_claims

CLAIMS_COMMAND = [sys.executable, "-m", "skipstone.cli", "claims"]


def test_claims_are_listed_with_their_verdicts(capsys):
    assert run(["claims"]) == 0
    listed = capsys.readouterr().out
    assert all(f"{claim.name} " in listed and claim.said in listed for claim in CLAIMS)
    assert "tried on digits: 15 epochs, width 8, 6 seeds" in listed
    assert run(["claims", "--data", "cifar10"]) == 0
    listed = capsys.readouterr().out
    assert "tried on cifar10: 3 epochs, width 8, 3 seeds" in listed
    assert "dropout             not tried yet\n" in listed


def test_a_claim_is_tried_shown_and_written(tmp_path, capsys):
    command = [
        "claims",
        "wide-concatenation",
        "--out",
        str(tmp_path / "c"),
        "--seeds",
        "1",
        "--page",
        str(tmp_path / "p"),
    ]
    assert run(command) == 0
    assert "densenet40_12 width=16: 448" in capsys.readouterr().out
    page = (tmp_path / "p").read_text(encoding="utf-8")
    assert "**Holds when** dense56 and resnet56;" in page
    assert page.count("**Not tried yet**") == len(CLAIMS) - 1
    assert run([*command, "-f", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdicts"]["wide-concatenation"].startswith("holds when")
    assert run([*command[:4], "--seeds", "2"]) == 2
    assert "holds claims tried otherwise: seeds is 1 there, 2 here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["deep-plane"], "unknown claim 'deep-plane'; nearest: deep-plain"),
        (["--epochs", "3"], "claims are tried in a folder; give one with --out, or --plan to see what they take"),
        (["--out", "c", "--seeds", "0"], "seeds is 0, expected at least 1"),
        (["--out", "c", "--width", "0"], "width is 0, expected at least 1"),
        (["--page", "."], ". is a folder; give a file to write"),
        (["--out", "c", "--workers", "0"], "workers is 0, expected at least 1"),
    ],
)
def test_what_cannot_be_tried_is_a_line(tmp_path, monkeypatch, capfd, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert run(["claims", *arguments]) == 2
    told = capfd.readouterr().err
    assert told.startswith(f"skipstone: {words}")
    assert told.count("\n") == 1
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_a_killed_trial_goes_on_to_the_same_record(tmp_path):
    asked = ["skips-train", "--seeds", "2", "--epochs", "2", "--width", "4"]
    subprocess.run([*CLAIMS_COMMAND, *asked, "--out", tmp_path / "whole"], check=True, capture_output=True)
    for seconds in (4, 6, 8):
        process = subprocess.Popen([*CLAIMS_COMMAND, *asked, "--out", tmp_path / "cut"], stdout=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run([*CLAIMS_COMMAND, *asked, "--out", tmp_path / "cut"], check=True, capture_output=True)
    assert read_claims(tmp_path / "cut").tried == read_claims(tmp_path / "whole").tried


@pytest.mark.slow
def test_a_plan_tells_what_it_takes(capsys, tmp_path):
    assert run(["claims", "projection", "--plan", "--seeds", "6"]) == 0
    assert "36 runs" in capsys.readouterr().out
