"""Runs that end before their last epoch: the rule as a function, then early stopping through the trainer."""

import math
from dataclasses import replace

import pytest
import torch

from skipstone.core.errors import SkipstoneError
from skipstone.runs.listing import find_runs
from skipstone.runs.records import EpochRecord, Recipe, RunSpec, read_run
from skipstone.runs.stopping import StopRule, ending, lowest_loss_epoch
from skipstone.training import Silent, train, trainer

# A constant rate far too high: the validation loss of a small network jumps, so that the best epoch is not the last.
SPEC = RunSpec(
    model="skipstone:plain8", options={"width": 4}, epochs=12, device="cpu", flow=False,
    recipe=Recipe(lr=0.5, schedule="constant", warmup=0), stop=StopRule(patience=2),
)  # fmt: skip


def records(losses, accuracies=None):
    accuracies = accuracies or [0.5] * len(losses)
    pairs = enumerate(zip(losses, accuracies, strict=True), start=1)
    return [EpochRecord(e, 0.5, 0.5, loss, accuracy, 0.1, 0.0, 1.0, 1.0) for e, (loss, accuracy) in pairs]


@pytest.mark.parametrize(
    ("losses", "end"),
    [([1.0], ""), ([1.0, 1.1], ""), ([1.0, 1.1, 1.0], "patience"), ([1.0, 1.1, 0.9], ""), ([math.nan] * 3, "patience")],
)
def test_patience_counts_from_the_lowest_loss(losses, end):
    assert ending(StopRule(patience=2), records(losses)) == end


def test_floors_end_at_their_own_epoch_alone():
    rule = StopRule(floors=(None, 0.6))
    assert ending(rule, records([1.0], [0.1])) == ""
    assert ending(rule, records([1.0, 1.0], [0.1, 0.5])) == "floor"
    assert ending(rule, records([1.0, 1.0], [0.1, 0.6])) == ""
    assert ending(rule, records([1.0, 1.0, 1.0], [0.1, 0.6, 0.1])) == ""
    assert ending(rule, records([1.0, 1.0], [0.1, math.nan])) == "floor"
    assert ending(StopRule(), []) == ""


def test_patience_of_no_epochs_is_refused():
    with pytest.raises(SkipstoneError, match="patience is 0, expected at least 1 epoch"):
        StopRule(patience=0)


def test_early_stopping_tests_the_best_epoch_and_that_once(tmp_path, monkeypatch):
    tested = []
    measure = trainer.evaluate

    def counted(model, images, *how, **more):
        tested.append(len(images))
        return measure(model, images, *how, **more)

    monkeypatch.setattr(trainer, "evaluate", counted)
    result = train(replace(SPEC, out=str(tmp_path / "whole")))
    best = lowest_loss_epoch(read_run(tmp_path / "whole").epochs)
    assert tested.count(450) == 1, "the test images are measured once"
    assert (result.stopped, result.tested_epoch, result.epochs) == ("patience", best, best + 2)
    assert result.epochs < SPEC.epochs
    assert [line.note for line in find_runs(tmp_path)] == ["by patience"]
    states = {
        name: torch.load(tmp_path / "whole" / f"checkpoint{name}.pt", weights_only=True)["epoch"]
        for name in ("", ".best")
    }
    assert states == {"": best + 2, ".best": best}


@pytest.mark.slow
@pytest.mark.parametrize("after_best", [0, 1])
def test_an_early_stopped_run_resumes_bit_for_bit(tmp_path, after_best):
    class Stop(Silent):
        def finished_epoch(self, record):
            if record.epoch == cut_after:
                raise KeyboardInterrupt

    whole = train(replace(SPEC, out=str(tmp_path / "whole")))
    cut_after = whole.tested_epoch + after_best
    cut = replace(SPEC, out=str(tmp_path / "cut"))
    with pytest.raises(KeyboardInterrupt):
        train(cut, progress=Stop())
    if not after_best:  # as a kill between the two writes leaves it
        (tmp_path / "cut" / "checkpoint.best.pt").unlink()
    resumed = train(cut, resume=True)
    assert replace(resumed, wall_seconds=0.0, out=None) == replace(whole, wall_seconds=0.0, out=None)


def test_a_run_may_leave_the_test_images_alone(tmp_path, monkeypatch):
    spec = replace(SPEC, epochs=1, stop=StopRule(), test=False, out=str(tmp_path / "a"))
    result = train(spec)
    assert math.isnan(result.test_accuracy)
    assert result.finite
    assert result.tested_epoch is None
    found = read_run(tmp_path / "a")
    assert found.result is not None
    assert math.isnan(found.result.test_accuracy)
    assert [line.test_accuracy for line in find_runs(tmp_path)] == [None]
