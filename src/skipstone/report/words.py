"""What was measured, in plain sentences made from the records: no claim that the numbers beside it don't bear."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from skipstone.experiments import Comparison, Difference, Group, Sample
from skipstone.report.figures import FlowLine

SAME_ORDER = 10.0
"""A gradient whose first and last layer differ by less than this factor is said to be of one order of magnitude."""


@dataclass(frozen=True, slots=True)
class FlowNote:
    """What the gradient of one network does towards the input: its `course`, its norm at either end, over n seeds."""

    label: str
    condition: str
    course: str
    first: str
    last: str
    n: int


def percent(value: float, digits: int = 1) -> str:
    """0.9764 is `97.6 %`."""
    return "NaN" if math.isnan(value) else f"{100 * value:.{digits}f} %"


def spread(sample: Sample) -> str:
    """Mean and standard deviation: `97.6 ± 0.4 %`; the mean alone for a single seed."""
    if math.isnan(sample.mean):
        return "NaN"
    return percent(sample.mean) if sample.sd is None else f"{100 * sample.mean:.1f} ± {100 * sample.sd:.1f} %"


def points(value: float) -> str:
    """A difference of accuracies: `52.9 points`."""
    return f"{100 * value:.1f} points"


def findings(comparison: Comparison) -> list[str]:
    """A sentence a difference in test accuracy: between families first, then between depths and options."""
    ordered = sorted(comparison.differences, key=lambda d: d.factor != "family")
    return [sentence(comparison, difference) for difference in ordered]


def lead(comparison: Comparison) -> str:
    """The comparison in one sentence: how many differences between families were established, and where."""
    between = [d for d in comparison.differences if d.factor == "family"]
    if not between:
        return "No two groups differ in their family alone."
    shown = [d for d in between if d.established]
    if not shown:
        return f"No difference in test accuracy between families was established, in {_times(len(between))} compared."
    seen = "; ".join(f"{d.first} above {d.second} by {points(d.test_accuracy.estimate)}" for d in shown)
    unseen = [f"{d.first} and {d.second}" for d in between if not d.established]
    rest = f" No difference was established between {_listed(unseen)}." if unseen else ""
    return f"In test accuracy: {seen}.{rest}"


def training_notes(groups: Sequence[Group]) -> list[str]:
    """Which networks did not even fit their training images, and which fit them far better than new ones."""
    notes = []
    low = [g for g in groups if g.train_accuracy.mean < 0.9]
    for g in low:
        notes.append(
            f"{g.label} reaches {spread(g.train_accuracy)} on its own training images in the last epoch: what holds "
            "its test accuracy down is fitting, not overfitting."
        )
    for g in groups:
        if g.overfitting_gap.mean > 0.05:
            notes.append(
                f"{g.label} overfits: its accuracy on training images is {points(g.overfitting_gap.mean)} above that "
                "on validation images, both measured alike."
            )
    return notes


def flow_notes(lines: Sequence[FlowLine], condition: str) -> list[FlowNote]:
    """For each network, what the gradient does on its way from the last convolution to the first, under `condition`."""
    labels = dict.fromkeys(line.label for line in lines)
    return [_flow_note([line for line in lines if line.label == label], label, condition) for label in labels]


def _flow_note(lines: Sequence[FlowLine], label: str, condition: str) -> FlowNote:
    ends = [_ends(line) for line in lines]
    if any(not math.isfinite(value) for pair in ends for value in pair):
        return FlowNote(label, condition, "NaN or infinite", "", "", len(lines))
    zeros = sum(layer.grad_norm == 0 for line in lines for layer in line.record.layers) / len(lines)
    if zeros:
        course = f"exactly zero in {zeros:.3g} of {len(lines[0].record.layers)} layers"
        first, last = (fmean(pair[i] for pair in ends) for i in (0, 1))
        return FlowNote(label, condition, course, _size(first), _size(last), len(lines))
    first, last = (math.exp(fmean(math.log(pair[i]) for pair in ends)) for i in (0, 1))
    return FlowNote(label, condition, _course(first / last), _size(first), _size(last), len(lines))


def _course(ratio: float) -> str:
    if ratio > SAME_ORDER:
        return f"grows {_size(ratio)}-fold"
    return f"shrinks {_size(1 / ratio)}-fold" if ratio < 1 / SAME_ORDER else "same order of magnitude"


def _size(value: float) -> str:
    return f"{value:,.0f}" if 100 <= value < 1e5 else f"{value:.2g}"


def _ends(line: FlowLine) -> tuple[float, float]:
    """The gradient norm of the first and the last convolution; of any layers where there are no convolutions."""
    layers = [layer for layer in line.record.layers if layer.kind == "conv"] or list(line.record.layers)
    return layers[0].grad_norm, layers[-1].grad_norm


def sentence(comparison: Comparison, difference: Difference) -> str:
    """Both means with their spread, the difference, its interval, and whether it is established."""
    first, second = comparison.group(difference.first), comparison.group(difference.second)
    interval = difference.test_accuracy
    means = f"{first.label} {spread(first.test_accuracy)}, {second.label} {spread(second.test_accuracy)}"
    n = f"n = {first.test_accuracy.n} and {second.test_accuracy.n}"
    if interval.low is None or interval.high is None:
        why = "a single seed" if min(first.test_accuracy.n, second.test_accuracy.n) < 2 else "no spread between seeds"
        return f"{means}: {points(interval.estimate)} apart, without an interval ({why}; {n})."
    bounds = f"95 % interval {_signed(interval.low)} to {_signed(interval.high)}, {n}"
    if difference.established:
        return f"{means}: {first.label} is {points(interval.estimate)} higher ({bounds})."
    return f"{means}: no difference established; {points(interval.estimate)} apart ({bounds})."


def _signed(value: float) -> str:
    return f"{100 * value:.1f}".replace("-", "\N{MINUS SIGN}")


def _times(count: int) -> str:
    return "one pair" if count == 1 else f"{count} pairs"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{'; '.join(items[:-1])}; or {items[-1]}"
