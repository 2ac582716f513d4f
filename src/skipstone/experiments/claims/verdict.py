"""What came of a claim's predictions, and what that says of the claim: computed from the values of the seeds alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from skipstone.experiments.claims.claim import Prediction, Unit
from skipstone.experiments.statistics import CONFIDENCE, Interval, Sample, holm, paired, sample, welch

Test = Literal["exact", "welch", "paired", "one-sample"]
Outcome = Literal["as said", "opposite", "not shown"]
Word = Literal["holds", "holds when", "does not hold here", "not tried yet"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One prediction after the fact: the seeds' values of both sides, and `difference`, first less second.

    `p_corrected` is the p of "the difference is -margin", corrected by Holm for the predictions of the claim.
    """

    condition: str
    measure: str
    unit: Unit
    greater: str
    lesser: str
    margin: float
    test: Test
    first: Sample
    second: Sample
    difference: Interval
    p_corrected: float | None = None

    @property
    def outcome(self) -> Outcome:
        """Exact values are as said where every seed's are; others where the 95 % interval and Holm's p say so."""
        if self.test == "exact":
            return _agreed([a - b + self.margin for a, b in zip(self.first.values, self.second.values, strict=True)])
        low, high, p = self.difference.low, self.difference.high, self.p_corrected
        if low is None or high is None or p is None or p >= 1 - CONFIDENCE:
            return "not shown"
        return _agreed([low + self.margin, high + self.margin])


@dataclass(frozen=True, slots=True)
class Verdict:
    """`when`: the conditions under which everything came out as said; `against`: those with an opposite outcome;
    `unshown`: the others."""

    word: Word
    when: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    unshown: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.word} {'; '.join(self.when)}" if self.word == "holds when" else self.word


def weigh(prediction: Prediction, labels: tuple[str, str], first: Sequence[float], second: Sequence[float]) -> Evidence:
    """The evidence of a prediction from the seeds' values of its sides; p is not yet corrected."""
    measure, margin = prediction.measure, prediction.margin
    a, b, moved = (_sample(values) for values in (first, second, [value + margin for value in first]))
    test = _test(prediction)
    if test == "exact":
        found = Interval(a.mean - b.mean, None, None)
    elif test == "welch":
        found = welch(moved, b, bound=measure.bound)
    else:
        found = paired(moved, b, bound=measure.bound)
    difference = Interval(a.mean - b.mean, _less(found.low, margin), _less(found.high, margin), found.p)
    return Evidence(prediction.condition, measure.name, measure.unit, *labels, margin, test, a, b, difference, found.p)


def corrected(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """A claim's evidence with each p as Holm corrects it for all of them."""
    ps = holm([each.difference.p for each in evidence])
    return tuple(replace(each, p_corrected=p) for each, p in zip(evidence, ps, strict=True))


def judge(evidence: Sequence[Evidence]) -> Verdict:
    """What a claim's evidence says of it; not tried where there is none."""
    if not evidence:
        return Verdict("not tried yet")
    outcomes: dict[str, list[Outcome]] = {}
    for each in evidence:
        outcomes.setdefault(each.condition, []).append(each.outcome)
    when = tuple(name for name, found in outcomes.items() if set(found) == {"as said"})
    against = tuple(name for name, found in outcomes.items() if "opposite" in found)
    unshown = tuple(name for name in outcomes if name not in when and name not in against)
    if len(when) == len(outcomes):
        return Verdict("holds", when)
    return Verdict("holds when" if when else "does not hold here", when, against, unshown)


def _test(prediction: Prediction) -> Test:
    if prediction.measure.exact:
        return "exact"
    if len(prediction.arms) < 2:
        return "one-sample"
    return "paired" if prediction.paired else "welch"


def _sample(values: Sequence[float]) -> Sample:
    return sample(values, floor=float("-inf"), ceiling=float("inf"))


def _agreed(differences: Sequence[float]) -> Outcome:
    if all(d > 0 for d in differences):
        return "as said"
    return "opposite" if all(d < 0 for d in differences) else "not shown"


def _less(value: float | None, margin: float) -> float | None:
    return None if value is None else value - margin
