"""Runs listed in every state they can be in, filtered, and deleted with care. No torch."""

import csv
import errno
import io
import json
import os
from dataclasses import replace

import pytest

from skipstone.cli import run
from skipstone.core.errors import SkipstoneError
from skipstone.runs.folder import FolderError, RunFolder
from skipstone.runs.listing import delete_runs, find_runs
from skipstone.runs.records import EpochRecord, RunResult, RunSpec

SPEC = RunSpec(model="skipstone:plain8", epochs=2)
RESULT = RunResult(0.9, 0.3, 0.95, 2, 0.94, None, 0.01, True, 1000, 2, 12.5)


def epoch(number: int) -> EpochRecord:
    return EpochRecord(number, 1.0, 0.5, 1.0, 0.75, 0.1, 0.0, 1.0, 2.0)


@pytest.fixture
def runs(tmp_path):
    """One of each state; the running one is held."""

    def make(name: str, epochs: int, **changes: object) -> RunFolder:
        folder = RunFolder(tmp_path / "runs" / name)
        folder.create(replace(SPEC, **changes), {})
        for number in range(1, epochs + 1):
            folder.append(epoch(number), [])
            folder.keep(b"x")
        return folder

    done = make("a_done", 2)
    done.finish(RESULT)
    done.release()
    make("b_cut", 1, seed=1, variant="plain").release()
    make("c_begun", 0).release()
    running = make("d_running", 1)
    (tmp_path / "runs" / "e_broken").mkdir()
    (tmp_path / "runs" / "e_broken" / "spec.json").write_text("{")
    yield tmp_path
    running.release()


def test_every_state(runs):
    found = find_runs(runs)
    assert [line.state for line in found] == ["finished", "cut", "begun", "running", "unreadable"]
    done, cut, begun, _, broken = found
    assert (done.test_accuracy, done.val_accuracy, done.num_parameters, done.wall_seconds) == (0.9, 0.75, 1000, 12.5)
    assert (cut.seed, cut.variant, cut.epochs_done, cut.epochs, cut.test_accuracy) == (1, "plain", 1, 2, None)
    assert (begun.epochs_done, begun.val_accuracy) == (0, None)
    assert "spec.json: cannot be read as JSON" in broken.note


def test_listing_takes_no_running_run_from_its_process(runs):
    find_runs(runs)
    with pytest.raises(FolderError, match="is being written by another process"):
        RunFolder(runs / "runs" / "d_running").hold()


def test_filters(runs):
    assert [line.state for line in find_runs(runs, {"state": "cut"})] == ["cut"]
    assert len(find_runs(runs, {"model": "skipstone:plain8", "seed": "0"})) == 3
    assert find_runs(runs, {"seed": "7"}) == []
    with pytest.raises(SkipstoneError, match="unknown field of a run 'stat'; nearest: state"):
        find_runs(runs, {"stat": "cut"})
    with pytest.raises(SkipstoneError, match="nowhere is no folder"):
        find_runs(runs / "nowhere")


def test_deleting(runs):
    delete_runs(find_runs(runs, {"state": "cut"}))
    assert not (runs / "runs" / "b_cut").exists()
    with pytest.raises(FolderError, match="d_running is being written by another process"):
        delete_runs(find_runs(runs))
    assert len(find_runs(runs)) == 4, "nothing is removed where one can't be"
    thesis = runs / "runs" / "a_done" / "thesis.tex"
    thesis.write_text("x")
    with pytest.raises(FolderError, match=r"a_done holds thesis\.tex, which is no file of a run"):
        delete_runs(find_runs(runs, {"state": "finished"}))
    assert thesis.exists()
    assert (runs / "runs" / "a_done" / "result.json").exists()


def test_the_command(runs, capsys):
    assert run(["runs", str(runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["folder", "network", "data", "seed", "epochs", "state", "validation", "test", "time"]
    assert lines[1].split() == [
        "runs/a_done",
        "plain8",
        "digits",
        "0",
        "2/2",
        "finished",
        "75.0",
        "%",
        "90.0",
        "%",
        "12.5",
        "s",
    ]
    assert "plain8 plain" in lines[2]
    assert "e_broken" in lines[5]
    assert "cannot be read as JSON" in lines[5]

    assert run(["runs", str(runs), "--where", "state=cut", "--format", "json"]) == 0
    assert [line["epochs_done"] for line in json.loads(capsys.readouterr().out)] == [1]

    assert run(["runs", str(runs), "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["state"] for row in rows] == ["finished", "cut", "begun", "running", "unreadable"]


def test_deleting_from_the_command_takes_a_second_word(runs, capsys):
    arguments = ["runs", str(runs), "--where", "state=begun", "--delete"]
    assert run(arguments) == 0
    assert "nothing deleted; to delete these 1, add --yes" in capsys.readouterr().err
    assert (runs / "runs" / "c_begun").exists()
    assert run([*arguments, "--yes"]) == 0
    assert "deleted: 1 run\n" in capsys.readouterr().err
    assert not (runs / "runs" / "c_begun").exists()


def test_an_empty_folder(tmp_path, capsys):
    assert run(["runs", str(tmp_path)]) == 0
    assert "no runs" in capsys.readouterr().out


def test_a_folder_that_cannot_be_looked_into_is_told(runs, capsys, monkeypatch):
    """Simulated: whoever runs the tests as root may look into every folder."""
    plain = os.scandir

    def scandir(path):
        if os.path.basename(path) == "b_cut":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert run(["runs", str(runs)]) == 2
    told = capsys.readouterr()
    assert "a_done" in told.out
    assert f"passed over {runs / 'runs' / 'b_cut'}, which cannot be looked into: Permission denied" in told.err
