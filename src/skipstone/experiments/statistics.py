"""Means, spreads and intervals over seeds, and what so few seeds can't tell.

A seed is one draw of initialisation and order, so n counts seeds. Intervals are Student's for one mean and Welch's
for a difference of two (B. L. Welch, Biometrika 34, 1947): they take the accuracies as normally distributed about
their mean and do not take the two spreads as equal. Two variants of one network share a seed's first weights and
batches, so their difference is taken seed by seed (Student's paired interval). Where many pairs are compared, S. Holm's
step-down correction (Scand. J. Statist. 6, 1979) keeps the chance of one false difference among all below 5 %.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

CONFIDENCE = 0.95
SEEDS_FOR_PAIRED_TEST = 6
"""The fewest pairs with which a two-sided sign or signed-rank test can fall below p = 0.05: 2 / 2**6 = 0.031."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One number from every seed, in the order of the seeds.

    `sd` has n - 1 in its denominator. `low` and `high` bound the mean's 95 % interval, cut to [`floor`, `ceiling`] of
    the measure. All three are None for a single seed, or where a value is not finite; the interval alone where every
    seed gave the same number.
    """

    values: tuple[float, ...]
    mean: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def n(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference of two means, its 95 % interval and two-sided p; all None but the difference where none is known."""

    estimate: float
    low: float | None
    high: float | None
    p: float | None = None

    @property
    def excludes_zero(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def sample(values: Sequence[float], *, floor: float = 0.0, ceiling: float = 1.0) -> Sample:
    """Describe the seeds' values of a measure that lies in [floor, ceiling].

    Raises:
        ValueError: there is no value.
    """
    if len(values) == 0:
        raise ValueError("no values to describe")
    mean = fmean(values)
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return Sample(tuple(values), mean)
    sd = stdev(values)
    if sd == 0:
        return Sample(tuple(values), mean, sd)
    from scipy.stats import t

    low, high = t.interval(CONFIDENCE, len(values) - 1, loc=mean, scale=sd / math.sqrt(len(values)))
    return Sample(tuple(values), mean, sd, max(floor, float(low)), min(ceiling, float(high)))


def welch(first: Sample, second: Sample, *, bound: float = 1.0) -> Interval:
    """`first` less `second`, of means; no interval with a single seed on a side, or no spread on both.

    The interval is cut to what a difference can be: `bound` at most, 1 for fractions.
    """
    estimate = first.mean - second.mean
    if first.sd is None or second.sd is None or first.sd == second.sd == 0:
        return Interval(estimate, None, None)
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():
        # scipy warns of lost precision where one side has no spread; the other side's spread still gives an interval.
        warnings.simplefilter("ignore", RuntimeWarning)
        test = ttest_ind(first.values, second.values, equal_var=False)
        interval = test.confidence_interval(CONFIDENCE)
    return Interval(estimate, max(-bound, float(interval.low)), min(bound, float(interval.high)), float(test.pvalue))


def paired(first: Sample, second: Sample, *, bound: float = 1.0) -> Interval:
    """The mean of `first` less `second`, seed by seed; no interval with a single pair, or one difference for all.

    Cut to `bound` as `welch` does.

    Raises:
        ValueError: the samples are not of one length.
    """
    differences = sample([a - b for a, b in zip(first.values, second.values, strict=True)], floor=-bound, ceiling=bound)
    if differences.low is None:
        return Interval(differences.mean, None, None)
    from scipy.stats import ttest_1samp

    p = float(ttest_1samp(differences.values, 0.0).pvalue)
    return Interval(differences.mean, differences.low, differences.high, p)


def effect_size(first: Sample, second: Sample) -> float | None:
    """Hedges' g: the difference of two means in standard deviations between seeds, both sides' pooled.

    With the correction for few values of L. V. Hedges (J. Educ. Statist. 6, 1981); None where no spread is known.
    """
    freedom = first.n + second.n - 2
    if first.sd is None or second.sd is None or first.sd == second.sd == 0:
        return None
    pooled = math.sqrt(((first.n - 1) * first.sd**2 + (second.n - 1) * second.sd**2) / freedom)
    return (first.mean - second.mean) / pooled * (1 - 3 / (4 * freedom - 1))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Each p as Holm corrects it for the number of those that are known.

    >>> holm([0.01, None, 0.03])
    [0.02, None, 0.03]
    """
    known = sorted((p, i) for i, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    worst = 0.0
    for rank, (p, i) in enumerate(known):
        worst = max(worst, min(1.0, p * (len(known) - rank)))
        corrected[i] = worst
    return corrected


def seed_warnings(num_seeds: int) -> tuple[str, ...]:
    """What so few seeds can't tell, in words; nothing from six on."""
    if num_seeds >= SEEDS_FOR_PAIRED_TEST:
        return ()
    if num_seeds < 2:
        return ("One seed a network: no spread and no interval can be given, and no difference established.",)
    p = 2.0 ** (1 - num_seeds)
    return (
        f"{num_seeds} seeds a network are few: a paired two-sided sign or signed-rank test over {num_seeds} seeds can "
        f"never fall below p = {p:.4g}, so never reaches p < 0.05 ({SEEDS_FOR_PAIRED_TEST} seeds could: p = 0.031). "
        "The intervals given rest on the accuracies being normally distributed about their mean, which so few seeds "
        "can't show.",
    )
