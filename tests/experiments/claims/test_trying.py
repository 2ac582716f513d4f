"""Claims tried over a runner that trains nothing, cut, resumed, refused; and one small claim that is really trained."""

from dataclasses import replace

import pytest
import torch

from scripted_runs import ScriptedRunner
from skipstone.core.errors import SkipstoneError
from skipstone.experiments.claims import Arm, Claim, Prediction, Setting, read_claims, runs_of, try_claims
from skipstone.experiments.claims.claim import Measure
from skipstone.experiments.claims.looking import OLDER_GRADIENTS, OLDER_WEIGHTS, SKIP_WORTH
from skipstone.experiments.claims.measures import GAP, HALVING, TEST_ACCURACY, TRAIN_LOSS, halving
from skipstone.experiments.runner import attempt, in_order
from skipstone.runs.folder import FolderError
from skipstone.runs.records import read_run

SETTING = Setting(epochs=1, seeds=3, width=2)
PLAIN, RESNET, DENSE = Arm("plain8"), Arm("resnet8"), Arm("dense8")


def claim(name, *predictions):
    return Claim(name, "It is said.", "somewhere", "So.", predictions)


BETTER = claim("better", Prediction("at 8 layers", TEST_ACCURACY, RESNET, PLAIN))
SHARED = claim("shared", Prediction("at 8 layers", TEST_ACCURACY, PLAIN, DENSE))


def quality(spec):
    """Better with skips, by more than the seeds differ."""
    return {"plain8": 0.4, "resnet8": 0.8, "dense8": 0.7}[spec.model.removeprefix("skipstone:")] + 0.01 * spec.seed


class HereRunner(ScriptedRunner):
    """Trains in this process, whose torch is loaded already."""

    def __init__(self):
        super().__init__(quality)

    def run(self, specs, *, watch=None):
        threads = torch.get_num_threads()
        torch.set_num_threads(2)  # a run takes one of its own accord
        try:
            return in_order(specs, {i: attempt(spec, patience_seconds=0) for i, spec in enumerate(specs)})
        finally:
            torch.set_num_threads(threads)


def test_claims_share_their_runs_and_are_judged_by_them(tmp_path):
    runner = ScriptedRunner(quality)
    record, failed = try_claims([BETTER, SHARED], SETTING, tmp_path, runner=runner)
    assert not failed
    assert len(runner.seen) == 9  # plain8 once, for both
    assert (str(record.verdict(BETTER)), str(record.verdict(SHARED))) == ("holds", "does not hold here")
    assert read_claims(tmp_path) == record
    assert record.evidence(BETTER)[0].first.values == pytest.approx((0.8, 0.81, 0.82))


def test_cut_anywhere_the_same_call_goes_on_and_nothing_is_tried_twice(tmp_path):
    for _ in range(8):
        with pytest.raises(KeyboardInterrupt):
            try_claims([BETTER, SHARED], SETTING, tmp_path, runner=(cut := ScriptedRunner(quality, dies_after=1)))
        assert len(cut.seen) == 1
    record, _ = try_claims([BETTER, SHARED], SETTING, tmp_path, runner=(last := ScriptedRunner(quality)))
    assert len(last.seen) == 1
    again, _ = try_claims([BETTER, SHARED], SETTING, tmp_path, runner=(idle := ScriptedRunner(quality)))
    assert not idle.seen
    assert again == record
    whole, _ = try_claims([BETTER, SHARED], SETTING, tmp_path / "whole", runner=ScriptedRunner(quality))
    assert record.tried == whole.tried


def test_a_run_that_fails_leaves_its_claim_untried_and_the_others_judged(tmp_path):
    broken = ScriptedRunner(quality, fails=lambda spec: "dense" in spec.model)
    record, failed = try_claims([BETTER, SHARED], SETTING, tmp_path, runner=broken)
    assert [outcome.run for outcome in failed] == [f"dense8_seed{seed}" for seed in range(3)]
    assert (str(record.verdict(BETTER)), str(record.verdict(SHARED))) == ("holds", "not tried yet")


def test_a_claim_that_predicts_something_else_now_is_tried_again(tmp_path):
    record, _ = try_claims([BETTER], SETTING, tmp_path, runner=ScriptedRunner(quality))
    changed = replace(BETTER, predictions=(replace(BETTER.predictions[0], margin=0.5),))
    assert str(record.verdict(changed)) == "not tried yet"
    again, _ = try_claims([changed], SETTING, tmp_path, runner=(kept := ScriptedRunner(quality)))
    assert not kept.seen  # the runs are the same ones
    assert str(again.verdict(changed)) == "holds"


def test_a_folder_of_another_plan_is_refused(tmp_path):
    try_claims([BETTER], SETTING, tmp_path, runner=ScriptedRunner(quality))
    with pytest.raises(
        FolderError, match=r"holds claims tried otherwise: epochs is 1 there, 2 here, seeds is 3 there, 6"
    ):
        try_claims([BETTER], replace(SETTING, epochs=2, seeds=6), tmp_path, runner=ScriptedRunner(quality))
    (tmp_path / "claims.json").unlink()
    with pytest.raises(SkipstoneError, match=r"resnet8_seed0 holds another run \(epochs 1 there, 2 here\)"):
        try_claims([BETTER], replace(SETTING, epochs=2), tmp_path, runner=ScriptedRunner(quality))


def test_arms_say_where_they_depart_and_never_share_a_folder(tmp_path):
    arms = [
        PLAIN, Arm("plain8", {"lr": 0.5}), Arm("plain8", {"norm": "none"}), Arm("plain8", eighths=16),
        Arm("plain8", val_fraction=0.5),
    ]  # fmt: skip
    assert [arm.label(SETTING) for arm in arms] == [
        "plain8", "plain8 lr=0.5", "plain8 norm=none", "plain8 width=4", "plain8 held-out=0.5",
    ]  # fmt: skip
    specs = [arm.spec(SETTING, tmp_path, 7) for arm in arms]
    assert len({spec.out for spec in specs}) == len(arms)
    assert specs[1].recipe.lr == 0.5
    assert (specs[3].options["width"], specs[4].val_fraction, specs[0].seed) == (4, 0.5, 7)


def test_a_loss_that_never_halves_takes_all_epochs():
    assert halving([2.0, 1.9, 1.8]) == 3
    assert halving([1.0]) < 1


def test_a_small_claim_is_really_trained(tmp_path):
    setting = replace(SETTING, seeds=2)
    trained = claim("trained", *(Prediction(m.name, m, RESNET, 0.0) for m in (TEST_ACCURACY, TRAIN_LOSS, HALVING, GAP)))
    record, failed = try_claims([trained], setting, tmp_path, runner=HereRunner())
    assert not failed
    runs = [read_run(str(spec.out)) for spec in runs_of([trained], setting, tmp_path)]
    accuracy, loss, epochs, gap = (evidence.first.values for evidence in record.evidence(trained))
    assert accuracy == tuple(run.result.test_accuracy for run in runs)
    assert loss == tuple(run.epochs[-1].train_loss for run in runs)
    assert gap == tuple(run.result.overfitting_gap for run in runs)
    assert all(0 < epoch <= 1 for epoch in epochs)
    assert record.environment["threads"] == 1


@pytest.mark.slow
def test_reuse_is_measured_in_the_network_as_its_run_left_it(tmp_path):
    whole = Setting(epochs=4, seeds=2, width=8)
    dense = Arm("dense20")
    asked = claim("reuse", *(Prediction(m.name, m, dense, 0.0) for m in (OLDER_WEIGHTS, OLDER_GRADIENTS, SKIP_WORTH)))
    untrained = Measure("as built", "times", OLDER_WEIGHTS.take)
    record, _ = try_claims([asked], whole, tmp_path, runner=HereRunner())
    weights, gradients, worth = (evidence.first.values for evidence in record.evidence(asked))
    assert all(0.2 < value < 1.5 for value in (*weights, *gradients))
    assert all(-0.1 < value < 1 for value in worth)
    assert weights == tuple(
        untrained.take(spec) for spec in runs_of([asked], whole, tmp_path)
    )  # read, not trained anew
