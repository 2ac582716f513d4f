from dataclasses import replace
from pathlib import Path

import pytest

from skipstone.core.codec import RecordError
from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.core.lock import Lock
from skipstone.experiments import Comparison, Outcome, compare, read_comparison
from skipstone.experiments.comparison import summarise
from skipstone.report.words import lead
from skipstone.runs.records import EpochRecord, RunRecord, RunResult, RunSpec


def record(model, seed, test, **options):
    """A finished run of two epochs."""
    spec = RunSpec(model=f"skipstone:{model}", seed=seed, options=options, epochs=2)
    epochs = [EpochRecord(e, 0.5, test + 0.01, 0.6, test - 0.01, 0.1, 0.02, 1.0, 1.0) for e in (1, 2)]
    result = RunResult(test, 0.6, test, 2, test, None, 0.02, True, 1000, 2, 2.0)
    return RunRecord(Path(f"{model}-{options}-{seed}"), spec, {}, tuple(epochs), (), result)


def three(model, tests, **options):
    return [record(model, seed, test, **options) for seed, test in enumerate(tests)]


def test_groups_differ_in_their_seed_alone():
    records = [*three("plain20", (0.9, 0.91, 0.92)), *three("resnet20", (0.95, 0.96, 0.97))]
    found = summarise(records[::-1], [Outcome("x", "finished")])
    group = found.group("plain20")
    assert (group.family, group.depth, group.seeds) == ("plain", 20, (0, 1, 2))
    assert group.test_accuracy.values == (0.9, 0.91, 0.92)
    assert group.train_accuracy.mean == pytest.approx(0.92)
    assert group.val_accuracy.mean == pytest.approx(0.9)
    assert group.overfitting_gap.sd == 0.0
    (difference,) = found.differences
    assert (difference.first, difference.second, difference.factor) == ("resnet20", "plain20", "family")
    assert difference.established
    assert found.complete
    assert Comparison.from_dict(found.to_dict()) == found


def test_an_early_stopped_run_counts_as_of_the_epoch_that_was_tested():
    stopped = record("plain20", 0, 0.5)
    first = replace(stopped.epochs[0], val_accuracy=0.9, train_accuracy=0.8)
    result = replace(stopped.result, stopped="patience", tested_epoch=1)
    (group,) = summarise([replace(stopped, epochs=(first, stopped.epochs[1]), result=result)], []).groups
    assert (group.val_accuracy.mean, group.train_accuracy.mean) == (0.9, 0.8)


def test_only_pairs_that_differ_in_one_factor_are_compared():
    records = [
        *three("plain20", (0.9, 0.91, 0.92), width=8), *three("plain56", (0.5, 0.4, 0.45), width=8),
        *three("plain20", (0.93, 0.94, 0.95), width=16), *three("resnet56", (0.9, 0.91, 0.94), width=8),
    ]  # fmt: skip
    found = {(d.first, d.second, d.factor) for d in summarise(records, []).differences}
    assert found == {
        ("plain20 width=8", "plain56 width=8", "depth"),
        ("plain20 width=16", "plain20 width=8", "width"),
        ("resnet56 width=8", "plain56 width=8", "family"),
    }


NINE = [
    *three("plain20", (0.979, 0.985, 0.971)), *three("resnet20", (0.98, 0.985, 0.975)), *three("dense20", (0.97, 0.972,
    0.966)), *three("plain56", (0.49, 0.3, 0.43)), *three("resnet56", (0.978, 0.985, 0.97)),
    *three("dense56", (0.98, 0.985, 0.976)),
]  # fmt: skip


def test_fewer_pairs_asked_for_are_fewer_to_correct_for():
    """The demo's case: all nine pairs leave the largest difference unestablished, those that were asked for do not."""

    def of(comparison):
        return next(d for d in comparison.differences if (d.first, d.second) == ("resnet56", "plain56"))

    every, against = summarise(NINE, []), summarise(NINE, [], "plain")
    assert len(every.differences) == 9
    assert {(d.first, d.second) for d in against.differences} == {
        ("resnet20", "plain20"), ("plain20", "dense20"), ("resnet56", "plain56"), ("dense56", "plain56")
    }  # fmt: skip
    assert of(every).test_accuracy == of(against).test_accuracy, "the interval is the same, the correction is not"
    assert (of(every).established, of(against).established) == (False, True)
    assert Comparison.from_dict(against.to_dict()).against == "plain"
    assert lead(against) == (
        "At depth 20, no difference in test accuracy was established between resnet20 and plain20 or between plain20 "
        "and dense20. At depth 56, in test accuracy, resnet56 is 57.1 points above plain56 and dense56 is 57.4 points "
        "above plain56."
    )


def test_against_a_single_group_everything_is_compared_with_it():
    records = [*three("plain20", (0.9, 0.91, 0.92), width=8), *three("resnet56", (0.93, 0.94, 0.95), width=16)]
    assert summarise(records, []).differences == ()
    (found,) = summarise(records, [], "plain").differences
    assert (found.first, found.second) == ("resnet56 width=16", "plain20 width=8")
    assert found.factor == "family, depth, width"
    assert lead(summarise(records, [], "plain")).startswith(
        "Against plain, in test accuracy, resnet56 width=16 is 3.0 p"
    )
    (by_option,) = summarise(records, [], "width=8").differences
    assert by_option == found


@pytest.mark.parametrize("name", ["plane", "resnet"])
def test_what_nothing_or_everything_is_cannot_be_compared_against(tmp_path, name):
    with pytest.raises(UnknownNameError, match=f"unknown network to compare against '{name}'"):
        compare([RunSpec(seed=0), RunSpec(seed=1)], tmp_path / "c", against=name)
    assert not (tmp_path / "c").exists()


def test_what_is_missing_is_said():
    unfinished = replace(record("plain20", 2, 0.5), result=None)
    infinite = record("resnet20", 2, 0.1)
    infinite = replace(infinite, result=replace(infinite.result, finite=False))
    records = [*three("plain20", (0.9, 0.91)), unfinished, *three("resnet20", (0.9, 0.9)), infinite]
    found = summarise(records, [Outcome("plain20_seed2", "killed", "killed by SIGKILL")])
    assert not found.complete
    assert found.warnings[:3] == (
        "plain20_seed2 killed: killed by SIGKILL",
        "plain20 has 2 of 3 seeds: means are not over the same seeds",
        "resnet20: in 1 of 3 seeds the loss became NaN or infinite",
    )
    assert found.warnings[3].startswith("2 seeds a network are few")


def test_no_finished_run_is_a_comparison_without_groups():
    found = summarise([replace(record("plain20", 0, 0.5), result=None)], [Outcome("a", "failed", "planted")])
    assert (found.groups, found.warnings) == ((), ("a failed: planted",))


def test_runs_must_be_comparable(tmp_path):
    with pytest.raises(SkipstoneError, match="nothing to compare"):
        compare([], tmp_path)
    with pytest.raises(SkipstoneError, match="must share their epochs, found 1, 2"):
        compare([RunSpec(epochs=1), RunSpec(epochs=2)], tmp_path)
    with pytest.raises(SkipstoneError, match="two runs would share the folder"):
        compare([RunSpec(), RunSpec()], tmp_path)


def test_two_comparisons_in_one_folder_at_once_are_refused_before_anything_runs(tmp_path):
    other = Lock(tmp_path / ".lock")
    assert other.take()
    with pytest.raises(SkipstoneError, match="is being compared in by another process; wait for it, or choose"):
        compare([RunSpec(epochs=1)], tmp_path)
    other.release()
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_comparison_is_named(tmp_path):
    with pytest.raises(RecordError, match=r"comparison\.json"):
        read_comparison(tmp_path)


def test_what_the_correction_takes_back_is_not_established():
    """A third of a point apart: established by themselves, and no longer beside pairs that tell nothing."""
    pair = [*three("plain20", (0.900, 0.901, 0.902)), *three("resnet20", (0.9030, 0.9042, 0.9052))]
    (alone,) = summarise(pair, []).differences
    assert alone.established
    rest = [r for depth in (32, 44, 56, 110) for r in three(f"plain{depth}", (0.5, 0.6, 0.55 + depth / 1e4))]
    beside = next(d for d in summarise([*pair, *rest], []).differences if d.factor == "family")
    assert beside.test_accuracy == alone.test_accuracy
    assert beside.p_corrected > alone.p_corrected
    assert not beside.established
