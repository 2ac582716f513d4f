"""The finals: the best trials beside the default, over seeds that no trial had, and what may be said then."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from skipstone.core.files import write_atomically
from skipstone.experiments.comparing import compare, write_json
from skipstone.experiments.comparison import Comparison, Difference
from skipstone.experiments.plan import RUNS_FOLDER, folder_name
from skipstone.experiments.search.importance import importance
from skipstone.experiments.search.records import BEST_FILE, DEFAULT, FINALS_FOLDER, FOUND_FILE, Finalist, Found, Trial
from skipstone.experiments.search.space import place
from skipstone.experiments.statistics import Interval
from skipstone.runs.recipe_file import setup_text

if TYPE_CHECKING:
    from skipstone.experiments.search.searching import Study


def run_finals(study: "Study", count: int, seeds: Sequence[int]) -> Found:
    """Train the best `count` trials and the default once a seed, compare, and write what was found."""
    chosen = best_trials(study, count)
    folder = study.folder / FINALS_FOLDER
    base = study.asked.base
    entrants = [(DEFAULT, base), *((_name(trial), place(base, trial.settings)) for trial in chosen)]
    specs = [
        replace(spec, variant=name, seed=seed, out=str(folder / RUNS_FOLDER / folder_name(name, seed)))
        for name, spec in entrants
        for seed in seeds
    ]
    with study.watching(specs, f"finals: {len(entrants)} networks, {len(seeds)} fresh seeds each") as watch:
        comparison = compare(specs, folder, against=DEFAULT, runner=study.runner, watch=watch)
    if any(outcome.status == "interrupted" for outcome in comparison.outcomes):
        raise KeyboardInterrupt
    found = _found(study, chosen, comparison, seeds)
    if found.finalists:
        winner = next(trial for trial in chosen if trial.number == found.finalists[0].number)
        text = setup_text(place(base, winner.settings), _remark(found))
        write_atomically(study.folder / BEST_FILE, text.encode())
    write_json(study.folder / FOUND_FILE, found.to_dict())
    return found


def best_trials(study: "Study", count: int) -> list[Trial]:
    """By validation accuracy after the last epoch, ties by the lower validation loss; the default is no finalist."""
    records = study.records()
    whole = [
        (-record.epochs[-1].val_accuracy, record.epochs[-1].val_loss, trial.number)
        for trial in study.trials.trials
        if trial.number and (record := records.get(trial.number)) and record.result and record.result.stopped != "floor"
    ]
    numbers = [number for *_, number in sorted(whole)[:count]]
    return [study.trials.trials[number] for number in numbers]


def expected_seconds(study: "Study", num_runs: int) -> float:
    """What so many runs will take, counted on from the trials: their mean time, at their rate of runs side by side."""
    results = [record.result for record in study.records().values() if record.result]
    whole = [result.wall_seconds for result in results if result.stopped != "floor"]
    if not whole or not study.trials.seconds:
        return 0.0
    side_by_side = sum(result.wall_seconds for result in results) / study.trials.seconds
    side_by_side = min(max(side_by_side, 1.0), study.asked.round)  # the time of a round that was killed is not known
    return num_runs * fmean(whole) / side_by_side


def _found(study: "Study", chosen: Sequence[Trial], comparison: Comparison, seeds: Sequence[int]) -> Found:
    records, told = study.records(), study.told()
    groups = {group.variant: group for group in comparison.groups}
    default = groups[DEFAULT]
    finalists = [_finalist(trial, comparison, default.label) for trial in chosen if _name(trial) in groups]
    return Found(
        data=study.asked.base.data,
        epochs=study.asked.base.epochs,
        num_trials=len(study.trials.trials),
        num_given_up=sum(bool(r.result and r.result.stopped == "floor") for r in records.values()),
        num_failed=len(study.trials.trials) - len(records),
        seconds=study.trials.seconds,
        seeds=tuple(seeds),
        default_val=default.val_accuracy,
        default_test=default.test_accuracy,
        finalists=tuple(sorted(finalists, key=lambda f: -f.val_accuracy.mean)),
        importance=importance(study.asked.space, told),
        recipe=str(study.folder / BEST_FILE),
        default_parameters=default.num_parameters,
        warnings=comparison.warnings,
    )


def _finalist(trial: Trial, comparison: Comparison, default: str) -> Finalist:
    group = next(group for group in comparison.groups if group.variant == _name(trial))
    difference = next(d for d in comparison.differences if {d.first, d.second} == {group.label, default})
    above = difference.first == group.label
    return Finalist(
        trial.number,
        trial.settings,
        group.val_accuracy,
        group.test_accuracy,
        group.num_parameters,
        _turned(difference) if not above else difference.test_accuracy,
        difference.p_corrected,
        difference.established and above,
    )


def _turned(difference: Difference) -> Interval:
    """The difference the other way round."""
    found = difference.test_accuracy
    low, high = (None if end is None else -end for end in (found.high, found.low))
    return Interval(-found.estimate, low, high, found.p)


def _name(trial: Trial) -> str:
    return f"trial{trial.number}"


def _remark(found: Found) -> str:
    best = found.finalists[0]
    verdict = "beats" if found.beats_default else "is not shown to beat"
    return (
        f"skipstone search, trial {best.number} of {found.num_trials} on {found.data}, {found.epochs} epochs: over "
        f"{len(found.seeds)} fresh seeds it {verdict} the default ({100 * best.test_accuracy.mean:.1f} % against "
        f"{100 * found.default_test.mean:.1f} % of the test images)"
    )
