"""How much each factor mattered, and how sure that is.

fANOVA (F. Hutter 2014, ICML) fits a forest to the trials and takes the share of its variance that one factor explains
alone. It is asked about ranks, not accuracies: a network that never learned would otherwise be most of the variance.
A trial that was given up ranks below every trial that got further.
"""

from collections.abc import Sequence
from typing import Any

from skipstone.experiments.search.advice import Told, demand_optuna, frozen_study
from skipstone.experiments.search.records import Importance
from skipstone.experiments.search.space import Factor

FEWEST = 10
"""Trials below which nothing is said."""

_REPEATS = 20
_TREES, _DEPTH = 16, 8


def importance(space: Sequence[Factor], told: Sequence[Told], *, seed: int = 0) -> tuple[Importance, ...]:
    """The factors, the most important first; none where there are too few trials, or a single factor.

    The interval holds nine of ten values over trials drawn with replacement; chance is told by ranks dealt out anew.
    """
    known = [trial for trial in told if trial.end != "failed"]
    if len(known) < FEWEST or len(space) < 2:
        return ()
    import numpy as np

    draw = np.random.default_rng(seed)
    settings, ranks = [trial.settings for trial in known], _ranks(known)
    whole = _shares(space, settings, ranks, seed)
    drawn, dealt = [], []
    for repeat in range(_REPEATS):
        chosen = draw.integers(0, len(known), len(known)).tolist()
        drawn.append(_shares(space, [settings[i] for i in chosen], [ranks[i] for i in chosen], seed + repeat))
        dealt.append(_shares(space, settings, draw.permutation(ranks).tolist(), seed + repeat))
    found = []
    for factor in space:
        low, high = np.quantile([shares[factor.name] for shares in drawn], (0.05, 0.95)).tolist()
        chance = float(np.quantile([shares[factor.name] for shares in dealt], 0.95))
        share = whole[factor.name]
        found.append(Importance(factor.name, share, min(low, share), max(high, share), chance))
    return tuple(sorted(found, key=lambda each: -each.share))


def _ranks(told: Sequence[Told]) -> list[float]:
    """0 for the worst; equal trials share the mean of their places."""
    keys = [
        (trial.end == "whole", 0 if trial.end == "whole" else len(trial.accuracies), trial.accuracies[-1])
        for trial in told
    ]
    return [sum(other < key for other in keys) + (keys.count(key) - 1) / 2 for key in keys]


def _shares(
    space: Sequence[Factor], settings: Sequence[dict[str, Any]], ranks: Sequence[float], seed: int
) -> dict[str, float]:
    """Shares that sum to 1; equal ones where all ranks are alike."""
    if len(set(ranks)) < 2:
        return {factor.name: 1 / len(space) for factor in space}
    optuna = demand_optuna()
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=seed)
    names = [factor.name for factor in space]
    found = optuna.importance.get_param_importances(
        frozen_study(space, settings, ranks), evaluator=evaluator, params=names
    )
    return {name: float(found.get(name, 0.0)) for name in names}
