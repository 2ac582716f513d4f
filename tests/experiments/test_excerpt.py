"""A page of a large comparison, and pairs found without holding every group against every other."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

from skipstone.experiments.comparison import _differing, _one_factor_apart, summarise
from skipstone.experiments.excerpt import GROUPS_SHOWN, LINES_SHOWN, excerpt
from skipstone.report.figures import POINTS_SHOWN, dots
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import EpochRecord, RunRecord, RunResult, RunSpec


def record(model, seed, test, **options):
    spec = RunSpec(model=f"skipstone:{model}", seed=seed, options=options, epochs=1)
    epochs = [EpochRecord(1, 0.5, test, 0.6, test, 0.1, 0.02, 1.0, 1.0)]
    result = RunResult(test, 0.6, test, 1, test, None, 0.02, True, 1000, 1, 1.0)
    return RunRecord(Path(f"{model}-{options}-{seed}"), spec, {}, tuple(epochs), (), result)


def grid(widths, seeds=2):
    return [
        record(model, seed, 0.5 + width / 1000 + seed / 100, width=width)
        for model in ("plain20", "resnet20") for width in range(widths) for seed in range(seeds)
    ]  # fmt: skip


def test_a_small_comparison_is_its_own_excerpt():
    found = summarise(grid(3), [])
    assert excerpt(found) == found


def test_of_a_large_one_the_best_groups_are_kept_in_their_order_and_the_rest_is_said():
    found = summarise(grid(20, seeds=5), [Outcome(f"r{i}", "failed", "planted") for i in range(30)])
    shown = excerpt(found)
    assert [group.options["width"] for group in shown.groups] == [*range(12, 20)] * 2
    assert len(shown.groups) == GROUPS_SHOWN
    assert {len(group.runs) for group in shown.groups} == {3}
    assert {len(group.seeds) for group in shown.groups} == {5}, "means and intervals are the whole's"
    labels = {group.label for group in shown.groups}
    assert {d.first for d in shown.differences} | {d.second for d in shown.differences} == labels
    assert shown.differences[0] in found.differences
    assert len(shown.warnings) == LINES_SHOWN + 1
    assert shown.warnings[-1] == (
        "of 40 networks the 16 with the highest test accuracy are shown; of each network the first 3 runs are drawn in "
        f"curves and gradients, and counted there; {len(found.warnings) - LINES_SHOWN} warnings more: all of it is in "
        "comparison.json"
    )


def test_what_it_is_against_is_shown_even_if_it_is_the_worst():
    found = summarise(grid(20), [], "plain20 width=0")
    assert "plain20 width=0" in {group.label for group in excerpt(found).groups}


def test_a_group_of_very_many_seeds_is_drawn_by_an_even_choice():
    [group, *_] = summarise([record("plain20", seed, 0.5 + seed / 1000) for seed in range(300)], []).groups
    points = dots([group], "test_accuracy", "x").spec["layer"][2]["data"]["values"]
    assert len(points) == POINTS_SHOWN
    assert [points[0]["seed"], points[-1]["seed"]] == [0, 299]


def test_pairs_are_those_of_every_group_held_against_every_other():
    drawn = random.Random(0)
    values = {"width": [4, 8, 8.5], "rates": [[1], [1, 2], None], "norm": ["batch", "group"]}
    records = {}
    for _ in range(60):
        options = {key: drawn.choice(choices) for key, choices in values.items() if drawn.random() < 0.9}
        spec = record(drawn.choice(["plain20", "plain56", "resnet20"]), 0, 0.5, **options)
        records[repr((spec.spec.model, sorted(options.items(), key=str)))] = spec
    groups = summarise(records.values(), []).groups
    assert len(groups) > 20
    slow = [
        (i, j, factors[0])
        for (i, a), (j, b) in itertools.combinations(enumerate(groups), 2)
        if len(factors := _differing(a, b)) == 1
    ]
    assert _one_factor_apart(groups) == slow


def test_no_epoch_but_the_last_and_no_gradient_is_kept_in_memory():
    """What is read of a run is let go of before the next is read: a hundred thousand would not fit."""
    live = []

    def records():
        for seed in range(3):
            yield replace(record("plain20", seed, 0.5), environment={"seen": seed})
            live.append(seed)

    assert summarise(records(), []).groups[0].seeds == (0, 1, 2)
    assert live == [0, 1, 2]
