"""A comparison: groups of runs that differ in their seed alone, and the differences between groups."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from skipstone.core.codec import Json, decode, encode
from skipstone.core.errors import UnknownNameError
from skipstone.experiments.plan import RUNS_FOLDER, chosen_options, family_of, label_of, varied_options
from skipstone.experiments.statistics import (
    CONFIDENCE,
    Interval,
    Sample,
    effect_size,
    holm,
    paired,
    sample,
    seed_warnings,
    welch,
)
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import EpochRecord, RunRecord, RunSpec, read_json, read_run

VERSION = 1
COMPARISON_FILE = "comparison.json"
Match = Literal["epochs", "macs", "time"]


@dataclass(frozen=True, slots=True)
class Group:
    """The finished runs of one network under one set of options, a value a seed.

    Accuracies are fractions, of the epoch whose weights are tested: the last, but for early stopping. `train_accuracy`
    is the running mean over that epoch's batches, `overfitting_gap` the last epoch's accuracy on training images less
    that on validation images, both measured alike; `test_accuracy` is taken once, at the end. `runs` are the folders'
    names in the order of `seeds`. `num_infinite` counts the seeds whose loss became NaN or infinite. `variant` is the
    name of the edits made to the network. `epochs` are those planned for a run, `seconds` the mean wall time of one.
    """

    label: str
    model: str
    family: str
    depth: int | None
    options: Mapping[str, Any]
    num_parameters: int
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    train_accuracy: Sample
    val_accuracy: Sample
    test_accuracy: Sample
    overfitting_gap: Sample
    num_infinite: int
    variant: str = ""
    epochs: int = 0
    seconds: float = 0.0

    def answers_to(self, name: str) -> bool:
        """Is it, or does it belong to, what `name` names: its label, its family, its variant, an `option=value`?"""
        return bool(name) and name in _names(self.label, self.family, self.variant, self.options)


@dataclass(frozen=True, slots=True)
class Difference:
    """Test accuracy of group `first` less that of group `second`; they differ in `factor` alone.

    Where a comparison is against a single group, `factor` may be several, with commas between. `paired`: taken seed by
    seed, of two variants of one network. `p_corrected` is the interval's p after Holm's correction for all the
    differences of the comparison. `effect` is Hedges' g.
    """

    first: str
    second: str
    factor: str
    test_accuracy: Interval
    paired: bool = False
    p_corrected: float | None = None
    effect: float | None = None

    @property
    def established(self) -> bool:
        """Does the 95 % interval leave out zero, and does it still after the correction for many pairs?"""
        corrected = self.p_corrected is None or self.p_corrected < 1 - CONFIDENCE
        return self.test_accuracy.excludes_zero and corrected


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of a set of runs: every group, the differences of test accuracy, how every run ended, warnings.

    `against` names what the others were to be compared with, chosen before anything was trained; empty for all pairs.
    `match` is what networks have equally much of: epochs, multiply-adds (`macs`) or time; `epochs` is the first one's.
    """

    data: str
    epochs: int
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]
    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...]
    against: str = ""
    match: Match = "epochs"

    @property
    def complete(self) -> bool:
        return all(outcome.complete for outcome in self.outcomes)

    def group(self, label: str) -> Group:
        return next(group for group in self.groups if group.label == label)

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "Comparison":
        return decode(cls, data, version=VERSION, where=where)


def read_comparison(folder: str | Path) -> Comparison:
    """The comparison kept in `folder`; `RecordError` naming the file where there is none or it is not ours."""
    path = Path(folder) / COMPARISON_FILE
    return Comparison.from_dict(read_json(path), str(path))


def read_group_runs(folder: str | Path, group: Group) -> tuple[RunRecord, ...]:
    """The run folders of a group, in the order of its seeds."""
    return tuple(read_run(Path(folder) / RUNS_FOLDER / run) for run in group.runs)


def demand_known(specs: Sequence[RunSpec], against: str) -> None:
    """Refuse to compare against what none of these runs is: a group's label, a family, a variant, an `option=value`.

    Raises:
        UnknownNameError: nothing bears this name, or everything does.
    """
    varied = varied_options([spec.options for spec in specs])
    every = [
        _names(label_of(spec, varied), family_of(spec.model).name, spec.variant, chosen_options(spec, varied))
        for spec in specs
    ]
    bearing = sum(against in names for names in every)
    if not 0 < bearing < len(specs):
        known = every[0].union(*every) - every[0].intersection(*every)
        raise UnknownNameError("network to compare against", against, known)


def summarise(
    records: Iterable[RunRecord], outcomes: Sequence[Outcome], against: str = "", match: Match = "epochs"
) -> Comparison:
    """The comparison of these runs; unfinished ones are counted in the warnings only.

    `against` limits the differences to those from the groups of that label, family, variant or `option=value`.

    Raises:
        ValueError: there is no record.
    """
    # Of a hundred thousand runs neither all epochs nor all gradients fit the memory, nor are they asked for here.
    records = [replace(record, epochs=_tested(record), flow=(), environment={}) for record in records]
    if not records:
        raise ValueError("no record to summarise")
    varied = varied_options([record.spec.options for record in records])
    grouped: dict[str, list[RunRecord]] = {}
    for record in records:
        if record.result is not None:
            grouped.setdefault(label_of(record.spec, varied), []).append(record)
    groups = tuple(_group(label, runs, varied) for label, runs in grouped.items())
    spec = records[0].spec
    return Comparison(
        data=spec.data,
        epochs=spec.epochs,
        groups=groups,
        differences=tuple(_differences(groups, against)),
        outcomes=tuple(outcomes),
        warnings=(*_unfinished(outcomes), *_uneven(groups), *_infinite(groups), *_few_seeds(groups)),
        against=against,
        match=match,
    )


def _tested(record: RunRecord) -> tuple[EpochRecord, ...]:
    """The epoch whose weights were tested: the last where the result names no other."""
    named = record.result.tested_epoch if record.result else None
    return tuple(epoch for epoch in record.epochs if epoch.epoch == named) or record.epochs[-1:]


def _names(label: str, family: str, variant: str, options: Mapping[str, Any]) -> set[str]:
    """By what a group can be compared against."""
    return {label, family, variant, *(f"{key}={value}" for key, value in options.items())}


def _group(label: str, runs: Sequence[RunRecord], varied: set[str]) -> Group:
    runs = sorted(runs, key=lambda run: run.spec.seed)
    spec, results = runs[0].spec, [run.result for run in runs if run.result]
    family = family_of(spec.model)
    return Group(
        label=label,
        model=spec.model,
        family=family.name,
        depth=family.depth,
        options=chosen_options(spec, varied),
        num_parameters=results[0].num_parameters,
        seeds=tuple(run.spec.seed for run in runs),
        runs=tuple(run.folder.name for run in runs),
        train_accuracy=sample([run.epochs[-1].train_accuracy for run in runs]),
        val_accuracy=sample([run.epochs[-1].val_accuracy for run in runs]),
        test_accuracy=sample([result.test_accuracy for result in results]),
        overfitting_gap=sample([result.overfitting_gap for result in results], floor=-1.0),
        num_infinite=sum(not result.finite for result in results),
        variant=spec.variant,
        epochs=spec.epochs,
        seconds=fmean(result.wall_seconds for result in results),
    )


def _differences(groups: Sequence[Group], against: str) -> list[Difference]:
    """The pairs' differences, the higher mean first, each p corrected for the number of pairs."""
    differences = []
    for a, b, differing in _pairs(groups, against):
        better, worse = (a, b) if a.test_accuracy.mean >= b.test_accuracy.mean else (b, a)
        seed_by_seed = differing == ["variant"] and a.seeds == b.seeds
        interval = (paired if seed_by_seed else welch)(better.test_accuracy, worse.test_accuracy)
        effect = effect_size(better.test_accuracy, worse.test_accuracy)
        factor = ", ".join(differing)
        differences.append(Difference(better.label, worse.label, factor, interval, seed_by_seed, effect=effect))
    corrected = holm([difference.test_accuracy.p for difference in differences])
    return [replace(d, p_corrected=p) for d, p in zip(differences, corrected, strict=True)]


def _pairs(groups: Sequence[Group], against: str) -> list[tuple[Group, Group, list[str]]]:
    """Every pair of groups that differ in one factor (the family, the depth, the variant, one varied option), and in
    which.

    With `against`, of these only the pairs of a group that bears the name and one that doesn't; where one group alone
    bears it, every other with that one, whatever they differ in.
    """
    bearing = {group.label for group in groups if group.answers_to(against)}
    if len(bearing) == 1:
        [base] = [i for i, group in enumerate(groups) if group.label in bearing]
        pairs = [(groups[min(i, base)], groups[max(i, base)]) for i in range(len(groups)) if i != base]
        return [(a, b, _differing(a, b)) for a, b in pairs]
    close = [(groups[i], groups[j], [key]) for i, j, key in _one_factor_apart(groups)]
    return [p for p in close if not against or (p[0].label in bearing) != (p[1].label in bearing)]


def _one_factor_apart(groups: Sequence[Group]) -> list[tuple[int, int, str]]:
    """By number, in the order of the groups: found by what is equal, so that a thousand groups aren't each held
    against every other."""
    factors = [_factors(group) for group in groups]
    apart = []
    for key in dict.fromkeys(key for known in factors for key in known):
        alike: dict[tuple[object, ...], list[int]] = {}
        names = sorted({name for known in factors for name in known} - {key})
        for i, known in enumerate(factors):
            alike.setdefault(tuple(_hashable(known.get(name)) for name in names), []).append(i)
        for members in alike.values():
            apart += [
                (i, j, key) for i, j in itertools.combinations(members, 2) if factors[i].get(key) != factors[j].get(key)
            ]
    return sorted(apart, key=lambda pair: pair[:2])


def _hashable(value: object) -> object:
    """A list of options as a tuple: equal where they are equal."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _differing(a: Group, b: Group) -> list[str]:
    ours, theirs = _factors(a), _factors(b)
    return [key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)]


def _factors(group: Group) -> dict[str, object]:
    return {"family": group.family, "depth": group.depth, "variant": group.variant, **group.options}


def _unfinished(outcomes: Sequence[Outcome]) -> list[str]:
    return [f"{o.run} {o.status}{f': {o.message}' if o.message else ''}" for o in outcomes if not o.complete]


def _uneven(groups: Sequence[Group]) -> list[str]:
    seeds = sorted({seed for group in groups for seed in group.seeds})
    return [
        f"{group.label} has {len(group.seeds)} of {len(seeds)} seeds: means are not over the same seeds"
        for group in groups
        if len(group.seeds) < len(seeds)
    ]


def _infinite(groups: Sequence[Group]) -> list[str]:
    return [
        f"{group.label}: in {group.num_infinite} of {len(group.seeds)} seeds the loss became NaN or infinite"
        for group in groups
        if group.num_infinite
    ]


def _few_seeds(groups: Sequence[Group]) -> tuple[str, ...]:
    return seed_warnings(min((len(group.seeds) for group in groups), default=0)) if groups else ()
