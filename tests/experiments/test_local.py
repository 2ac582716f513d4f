"""Faults are planted in networks of their own files, so that runs go the whole real way: process, trainer, folder."""

import signal
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from skipstone.core.errors import SkipstoneError
from skipstone.experiments import run_local
from skipstone.runs.outcome import Outcome, exit_text
from skipstone.runs.records import Recipe, RunSpec, read_run

NETWORKS = """
    import os, signal
    from pathlib import Path
    from torch import nn

    class Good(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(64, 10)

        def forward(self, x):
            return self.fc(x.flatten(1))

    class Crash(Good):
        def forward(self, x):
            if self.training:
                raise ZeroDivisionError("planted")
            return super().forward(x)

    class Verbose(Good):
        def forward(self, x):
            if self.training:
                raise ValueError("x" * 300_000)
            return super().forward(x)

    class Kill(Good):
        '''Ends its process without a word in the third epoch, the first time only.'''
        calls = 0

        def forward(self, x):
            marker = Path(__file__).with_name("killed")
            Kill.calls += self.training
            if Kill.calls > 24 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().forward(x)
"""


@pytest.fixture
def specs(tmp_path):
    """One good, one crashing, one killed run, and a network that does not exist."""
    file = tmp_path / "faults.py"
    file.write_text(textwrap.dedent(NETWORKS))
    base = RunSpec(epochs=4, device="cpu", recipe=Recipe(lr=0.01))
    names = ("Good", "Crash", "Kill", "Missing")
    return [replace(base, model=f"{file}:{name}", out=str(tmp_path / "runs" / name)) for name in names]


def test_only_the_faulty_runs_fail_and_the_killed_one_resumes(specs):
    seen = []
    good, crash, kill, missing = run_local(specs, workers=2, watch=seen.append)
    assert good == Outcome("Good", "finished")
    assert crash.status == "failed"
    assert "cannot be trained on digits's images (128, 1, 8, 8): ZeroDivisionError: planted; see: skip" in crash.message
    assert not Path(specs[1].out).exists(), "nothing is written before the network is known to train"
    assert "raise ZeroDivisionError" in crash.traceback
    assert kill == Outcome("Kill", "killed", "killed by SIGKILL")
    assert missing.status == "failed"
    assert "Missing" in missing.message
    assert not missing.traceback
    assert read_run(specs[0].out).result is not None
    before = read_run(specs[2].out)
    assert before.result is None
    assert 0 < len(before.epochs) < 4
    assert {p.run for p in seen if p.outcome} == {0, 1, 2, 3}

    again = run_local([specs[0], specs[2]], workers=2)
    assert [o.status for o in again] == ["kept", "finished"]
    after = read_run(specs[2].out)
    assert after.epochs[: len(before.epochs)] == before.epochs, "what was trained is not trained again"
    assert [e.epoch for e in after.epochs] == [1, 2, 3, 4]
    assert after.result is not None


def test_a_folder_of_another_run_is_refused_before_anything_runs(specs):
    good, other = specs[0], replace(specs[0], out=specs[1].out)
    run_local([good])
    changed = replace(good, seed=5)
    with pytest.raises(SkipstoneError, match=r"Good holds another run \(seed 0 there, 5 here\)"):
        run_local([other, changed])
    assert not Path(other.out).exists()


def test_an_error_longer_than_a_pipe_holds_does_not_hang(specs):
    long = replace(specs[0], model=specs[0].model.replace("Good", "Verbose"), out=specs[0].out + "-verbose")
    (outcome,) = run_local([long])
    assert outcome.status == "failed"
    assert len(outcome.traceback) > 300_000
    assert len(outcome.message) < 500


def test_fewer_than_one_run_at_a_time_is_refused(specs):
    for workers in (0, -2):
        with pytest.raises(SkipstoneError, match=f"workers is {workers}, expected at least 1 run at a time"):
            run_local(specs, workers=workers)
    assert not Path(specs[0].out).exists()


def test_an_empty_spec_is_taken_over(specs):
    """As a process left it that was killed between making the file and writing it."""
    Path(specs[0].out).mkdir(parents=True)
    (Path(specs[0].out) / "spec.json").write_text("")
    assert [outcome.status for outcome in run_local(specs[:1])] == ["finished"]


def test_a_run_needs_a_folder():
    with pytest.raises(SkipstoneError, match="skipstone:resnet20 with seed 0 has no run folder"):
        run_local([RunSpec()])


def test_the_end_of_a_process_in_words():
    assert exit_text(-signal.SIGKILL) == "killed by SIGKILL"
    assert exit_text(3) == "exit status 3"
    assert exit_text(-250) == "killed by signal 250"
    assert exit_text(None) == "still running"


def test_workers_have_one_thread_each(specs):
    run_local(specs[:1])
    assert read_run(specs[0].out).environment["threads"] == 1
