"""What was measured, in plain sentences made from the records: no claim that the numbers beside it don't bear."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from skipstone.experiments import Comparison, Difference, Group, Sample
from skipstone.report.figures import FlowLine

SAME_ORDER = 10.0
"""A gradient whose first and last layer differ by less than this factor is said to be of one order of magnitude."""

MATCHED = {"epochs": "epochs", "macs": "multiply-adds", "time": "time"}
"""What networks were given equally much of, in words."""

MAIN_FACTORS = ("family", "variant")
"""What a comparison is usually made for: it stands before differences between depths and options."""

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


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


def asked(comparison: Comparison) -> list[Difference]:
    """What the comparison was made for: all differences where it is against something, else those between families
    and variants."""
    return [d for d in comparison.differences if comparison.against or d.factor in MAIN_FACTORS]


def ordered(comparison: Comparison) -> list[Difference]:
    """The differences that were asked for first, then those between depths and options."""
    first = asked(comparison)
    named = {(d.first, d.second) for d in first}
    return [*first, *(d for d in comparison.differences if (d.first, d.second) not in named)]


def interval_text(difference: Difference) -> str:
    """`43.4 to 57.6`, in percentage points; `none` where none can be given."""
    low, high = difference.test_accuracy.low, difference.test_accuracy.high
    return "none" if low is None or high is None else f"{_signed(low)} to {_signed(high)}"


def lead(comparison: Comparison) -> str:
    """The differences between families in a few sentences, one a set of networks that differ in nothing else."""
    between = asked(comparison)
    if not between:
        return "No two groups differ in their family alone."
    settings: dict[str, list[Difference]] = {}
    for difference in between:
        settings.setdefault(_common(comparison, difference), []).append(difference)
    return " ".join(_lead_at(setting, members) for setting, members in settings.items())


def _common(comparison: Comparison, difference: Difference) -> str:
    """What two groups share, or where that may be nothing, with what they are compared."""
    alone = difference.factor in MAIN_FACTORS
    return _setting(comparison.group(difference.first)) if alone else f"Against {comparison.against}"


def _lead_at(setting: str, differences: Sequence[Difference]) -> str:
    shown = [d for d in differences if d.established]
    names = list(dict.fromkeys(name for d in differences for name in (d.first, d.second)))
    unseen = [f"{d.first} and {d.second}" for d in differences if not d.established]
    if not shown:
        each_with_each = len(differences) == len(names) * (len(names) - 1) // 2
        between = _listed(names, "and") if each_with_each else _listed(unseen, "or between")
        return f"{setting}, no difference in test accuracy was established between {between}."
    seen = _listed([f"{d.first} is {points(d.test_accuracy.estimate)} above {d.second}" for d in shown], "and")
    rest = f"; no difference was established between {_listed(unseen, 'or between')}" if unseen else ""
    return f"{setting}, in test accuracy, {seen}{rest}."


def _setting(group: Group) -> str:
    """What networks of several families have in common: `At depth 56`, `At depth 56 with width=8`."""
    options = _listed([f"{key}={value}" for key, value in group.options.items()], "and") if group.options else ""
    depth = "" if group.depth is None else f"at depth {group.depth}"
    text = " ".join(part for part in (depth, f"with {options}" if options else "") if part)
    return text[:1].upper() + text[1:] if text else "Between families"


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
    norms = [layer.grad_norm for line in lines for layer in line.record.layers]
    zeros, runs = norms.count(0), len(lines)
    if zeros:
        each = not zeros % runs
        course = f"exactly zero in {zeros // runs if each else zeros} of {len(norms) // (runs if each else 1)} layers"
        course += "" if each else f" ({runs} seeds together)"
        first, last = (fmean(pair[i] for pair in ends) for i in (0, 1))
        return FlowNote(label, condition, course, _size(first), _size(last), len(lines))
    first, last = (math.exp(fmean(math.log(pair[i]) for pair in ends)) for i in (0, 1))
    return FlowNote(label, condition, _course(first / last), _size(first), _size(last), len(lines))


def _course(ratio: float) -> str:
    if ratio > SAME_ORDER:
        return f"grows {_size(ratio)}-fold"
    return f"shrinks {_size(1 / ratio)}-fold" if ratio < 1 / SAME_ORDER else "same order of magnitude"


def _size(value: float) -> str:
    """Two digits, in powers of ten where they are large or small: `0.38`, `214`, `2.9 × 10⁷`."""
    if 100 <= value < 1e5:
        return f"{value:,.0f}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    if value == 0 or -3 <= int(exponent) < 3:
        return f"{value:.2g}"
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


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
    how = ", paired by seed" if difference.paired else ""
    effect = "" if difference.effect is None else f"Hedges' g {difference.effect:.1f}, "
    bounds = f"{effect}95 % interval {_signed(interval.low)} to {_signed(interval.high)}{how}, {n}"
    if difference.established:
        return f"{means}: {first.label} is {points(interval.estimate)} higher ({bounds})."
    if interval.excludes_zero and difference.p_corrected is not None:
        many = f"once all {len(comparison.differences)} pairs are counted (Holm: p = {difference.p_corrected:.2g})"
        return f"{means}: no difference established {many}; {points(interval.estimate)} apart ({bounds})."
    return f"{means}: no difference established; {points(interval.estimate)} apart ({bounds})."


def _signed(value: float) -> str:
    return f"{100 * value:.1f}".replace("-", "\N{MINUS SIGN}")


def _listed(items: Sequence[str], word: str) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
