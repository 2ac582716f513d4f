"""The floors below which a trial is given up: a rule that is fixed before the trial begins.

At two moments a trial must not stand below those that ran to their end: at a third of its epochs not in their lowest
quarter, at two thirds not in their lower half (the median rule of D. Golovin 2017, KDD, section 3.2.2, asked gently
while the learning rate is high and accuracies say little). Because the floors stand in the trial's spec, nobody watches
it: a trial ends at the same epoch on one core, on a cluster, and after a power cut.
"""

from collections.abc import Sequence
from statistics import quantiles

MOMENTS = ((1 / 3, 1), (2 / 3, 2))
"""(share of the epochs, which quartile of the others' validation accuracies is the floor)."""

FEWEST = 5
"""Trials that must have run to their end before any is given up."""


def floors(curves: Sequence[Sequence[float]], epochs: int) -> tuple[float | None, ...]:
    """By epoch, the validation accuracy a new trial must reach; `curves` are those of trials that ran to their end."""
    whole = [curve for curve in curves if len(curve) == epochs]
    if len(whole) < FEWEST:
        return ()
    found: list[float | None] = [None] * epochs
    for share, quartile in MOMENTS:
        epoch = round(share * epochs)
        if 1 <= epoch < epochs:
            found[epoch - 1] = quantiles([curve[epoch - 1] for curve in whole], n=4, method="inclusive")[quartile - 1]
    return tuple(found)
