"""What the numbers of a record mean, in words: one table of thresholds, each with its source, one function a verdict.

A verdict is an *ill* or a remark. Where nothing is ill the one verdict is `healthy`. What is small by design (a branch
behind a LayerScale of 1e-6, a zero-gamma, a head that starts at zero) is a remark and no ill: its own scale learns.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from skipstone.runs.flow.decay import Decay, fit_decay
from skipstone.runs.flow.record import FlowRecord, LayerFlow, SkipFlow

VerdictKind = Literal[
    "not finite", "vanishing", "exploding", "stalled by precision", "gradient underflow", "step too long",
    "dead branch", "shortcut blocked", "no gradient", "not optimised", "frozen", "healthy",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a number's reading changes, and on what that rests."""

    value: float
    source: str


THRESHOLDS = {
    "vanishing": Threshold(
        1e-3,
        "runs on the digits: plain-8 without norm starts at 2e-4 and learns nothing, its residual twin at 0.2 learns",
    ),
    "exploding": Threshold(
        1e3, "runs on the digits: plain-56 with batch norm starts at 3e3 and stays near 48 %, plain-20 at 30 learns"
    ),
    "straight": Threshold(0.5, "below this share of explained variance the norm follows no one factor per layer"),
    "stalled by precision": Threshold(0.5, "half of the elements that have a gradient do not move"),
    "gradient underflow": Threshold(
        0.5, "Micikevicius et al. 2017, 1710.03740, section 3.2: below the smallest normal number bits are lost"
    ),
    "step too long": Threshold(1.0, "a step as long as the weight turns it by up to 90 degrees: nothing is kept of it"),
    "dead branch": Threshold(
        1e-3, "De and Smith 2020, 2002.10444: a normalised branch has 1/sqrt(l) of the stream, 1e-3 at block a million"
    ),
    "shortcut blocked": Threshold(
        1e-3, "He et al. 2016, 1603.05027, section 3: a shortcut that scales by c hands back c of the gradient"
    ),
}

ADVICE = {
    "not finite": "look at that layer's input; skipstone check --run names the operation",
    "vanishing": "a skip connection around every two layers, a norm, or He initialisation (for ReLU)",
    "exploding": "a skip connection around every two layers: with batch norm a residual network's hardly grows",
    "stalled by precision": "keep float32 master weights, or a larger rate; Adam only with eps far below the gradient",
    "gradient underflow": "a GradScaler around the loss, or bfloat16",
    "step too long": "a smaller learning rate, warm-up, or clipping",
    "dead branch": "a scale that learns (zero-gamma, ReZero, LayerScale) in place of the fixed one",
    "shortcut blocked": "an identity shortcut; pre-activation (1603.05027) keeps it clear of everything",
    "no gradient": "skipstone check --run says where the gradient ends",
    "not optimised": "give the parameters to the optimizer, or set requires_grad=False",
}

# Factors per layer that theory gives, for ReLU; (value, what it is of, source).
KNOWN_FACTORS = (
    (
        math.sqrt(math.pi / (math.pi - 1)),
        "a plain network with batch norm: sqrt(pi/(pi-1))",
        "Yang et al. 2019, 1902.08129",
    ),
    (
        6**-0.5,
        "ReLU with PyTorch's default initialisation and no norm: 1/sqrt(6)",
        "Var(w) = 1/(3 fan_in), ReLU halves",
    ),
)
_CLOSE, _SURE, _APART = 0.03, 0.9, 0.1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One reading: `says` in words, `where` the layers or skips it is about, the number and its threshold.

    `try_` is what may help, "" where nothing has to. A record is healthy where no verdict `is_ill`.
    """

    kind: VerdictKind
    says: str
    where: tuple[str, ...] = ()
    value: float | None = None
    threshold: float | None = None
    source: str = ""
    try_: str = ""
    is_ill: bool = True

    def __str__(self) -> str:
        return f"{self.kind}: {self.says}" + (f"\n    try: {self.try_}" if self.try_ else "")


def verdicts(record: FlowRecord) -> tuple[Verdict, ...]:
    """Every reading of a record, the ills first; `healthy` alone or beside remarks where there is none."""
    broken = list(_not_finite(record))
    readers = [] if broken else _READERS  # what is NaN has no other reading
    found = broken + [verdict for reader in readers for verdict in reader(record)]
    ills = [verdict for verdict in found if verdict.is_ill]
    rest = [verdict for verdict in found if not verdict.is_ill]
    return (*(ills or [_healthy(record)]), *rest)


def depth_series(record: FlowRecord) -> list[tuple[LayerFlow, float]]:
    """The layers in depth with the gradient's norm at each: at its output where that was watched, else its weight's."""
    layers = [layer for layer in record.layers if layer.kind != "other"]
    watched = [(layer, layer.output_grad_norm) for layer in layers if layer.output_grad_norm is not None]
    return watched or [(layer, layer.grad_norm) for layer in layers]


def decay_of(record: FlowRecord) -> Decay | None:
    """The factor per layer of a record, going backwards."""
    return fit_decay([norm for _, norm in depth_series(record)])


# ---- one reader a verdict


def _not_finite(record: FlowRecord) -> Iterator[Verdict]:
    for layer in record.layers:
        if layer.output_rms is not None and not math.isfinite(layer.output_rms):
            yield _broken(
                f"the output of {layer.name} holds NaN or infinity, the first to do so at step {record.step}", layer
            )
            return
    for layer in reversed(record.layers):  # backwards: the first layer that the gradient meets
        for what, norm in (("gradient at the output", layer.output_grad_norm), ("gradient", layer.grad_norm)):
            if norm is not None and not math.isfinite(norm):
                yield _broken(f"the {what} of {layer.name} is NaN or infinite at step {record.step}", layer)
                return
    for layer in record.layers:
        if not math.isfinite(layer.weight_norm) or not math.isfinite(layer.update_norm or 0.0):
            yield _broken(f"the weight of {layer.name} is NaN or infinite at step {record.step}", layer)
            return


def _broken(says: str, layer: LayerFlow) -> Verdict:
    return Verdict("not finite", says, (layer.name,), try_=ADVICE["not finite"])


def _course(record: FlowRecord) -> Iterator[Verdict]:
    """Does the gradient vanish or explode on its way to the first layer, or end?"""
    series = depth_series(record)
    zeros = 0
    while zeros < len(series) and series[zeros][1] == 0:
        zeros += 1
    if zeros == len(series):
        return
    last = series[-1][1]
    if zeros:
        yield from _ends(record, series, zeros, last)
        return
    fit = decay_of(record)
    if fit is None or fit.r2 < THRESHOLDS["straight"].value:
        return
    first = series[0][1]
    for kind, sign in (("vanishing", -1), ("exploding", 1)):
        limit = THRESHOLDS[kind].value
        if last > 0 and all(sign * (ratio - limit) > 0 for ratio in (fit.total, first / last)):
            ends = f"the gradient at {series[0][0].name} is {_times(first / last)} that at {series[-1][0].name}"
            says = f"{ends}: {_factor(fit, series)}"
            yield _ill(kind, says, (series[0][0].name,), first / last)  # type: ignore[arg-type]


def _ends(record: FlowRecord, series: Sequence[tuple[LayerFlow, float]], zeros: int, last: float) -> Iterator[Verdict]:
    """The first layers have a gradient of exactly zero."""
    names = tuple(layer.name for layer, _ in series[:zeros])
    growing = {name for skip in record.skips if skip.learns for name in skip.layers}
    if set(names) <= growing:
        return
    then, norm = series[zeros]
    if then.weight_norm == 0:
        says = f"{then.name} starts at zero, so nothing before it has a gradient in this step"
        yield Verdict("no gradient", says, names, is_ill=False)
    elif norm < THRESHOLDS["vanishing"].value * last:
        end = f"{norm:.1e} at {then.name}, {last:.1e} at {series[-1][0].name}"
        says = f"the gradient is exactly zero in the first {_layers(zeros)}, {end}"
        yield _ill("vanishing", says, names, 0.0)
    else:
        yield _ill("no gradient", f"none reaches {_named(names)}; at {then.name} it is {norm:.1e}", names, 0.0)


def _rounding(record: FlowRecord) -> Iterator[Verdict]:
    limit = THRESHOLDS["stalled by precision"]
    stalled = [layer for layer in record.layers if (layer.lost_updates or 0.0) > limit.value]
    if stalled:
        worst = max(stalled, key=lambda layer: layer.lost_updates or 0.0)
        share = worst.lost_updates or 0.0
        dtype = f" in {worst.dtype}" if worst.dtype else ""
        says = (
            f"of {worst.name}'s elements with a gradient {share:.1%} did not move in the step{dtype}; "
            f"more than half in {len(stalled)} of {_layers(len(record.layers))}"
        )
        yield _ill("stalled by precision", says, tuple(layer.name for layer in stalled), share)
    limit = THRESHOLDS["gradient underflow"]
    under = [layer for layer in record.layers if (layer.underflow or 0.0) > limit.value]
    if under:
        worst = max(under, key=lambda layer: layer.underflow or 0.0)
        says = (
            f"{worst.underflow:.1%} of the gradient at {worst.name} lies below the smallest normal float16, "
            f"more than half in {_layers(len(under))}"
        )
        yield _ill("gradient underflow", says, tuple(layer.name for layer in under), worst.underflow)


def _step(record: FlowRecord) -> Iterator[Verdict]:
    ratios = [(layer, layer.update_ratio) for layer in record.layers if layer.update_ratio is not None]
    long = [(layer, ratio) for layer, ratio in ratios if ratio > THRESHOLDS["step too long"].value]
    if ratios and 2 * len(long) >= len(ratios):
        layer, ratio = max(long, key=lambda pair: pair[1])
        most = f"{ratio:.2g} times in {layer.name}"
        says = f"in {len(long)} of {_layers(len(ratios))} the step is longer than the weight, {most}"
        yield _ill("step too long", says, tuple(layer.name for layer, _ in long), ratio)


def _branches(record: FlowRecord) -> Iterator[Verdict]:
    limit = THRESHOLDS["dead branch"].value
    small = [s for s in _added(record) if s.ratio is not None and (0 < s.ratio < limit or (s.dead or 0.0) > 0.5)]
    dead = [s for s in small if s.learns is False and (s.ratio or 0.0) < limit]
    if dead:
        least = min(dead, key=lambda s: s.ratio or 0.0)
        says = (
            f"the branch of {_skips(dead)} is {least.ratio:.1e} of the stream (at {least.target}), "
            "and nothing in it can enlarge it"
        )
        yield _ill("dead branch", says, tuple(s.target for s in dead), least.ratio)
    rounded = [s for s in small if s not in dead and (s.dead or 0.0) > 0.5]
    if rounded:
        most = max(rounded, key=lambda s: s.dead or 0.0)
        says = (
            f"at {_skips(rounded)} the addition changes nothing in {most.dead:.1%} of the values: lost in {most.dtype}"
        )
        yield Verdict("dead branch", says, tuple(s.target for s in rounded), most.dead, 0.5, is_ill=False)
    starting = [s for s in small if s not in dead and s not in rounded]
    if starting:
        says = f"{_skips(starting)} {'starts' if len(starting) == 1 else 'start'} near the identity; its scale learns"
        yield Verdict("dead branch", says, tuple(s.target for s in starting), is_ill=False)


def _shortcuts(record: FlowRecord) -> Iterator[Verdict]:
    limit = THRESHOLDS["shortcut blocked"].value
    blocked = [
        s
        for s in _added(record)
        if s.shortcut_grad is not None and s.branch_grad and s.shortcut_grad < limit * s.branch_grad
    ]
    if blocked:
        least = min(blocked, key=lambda s: s.shortcut_grad or 0.0)
        ratio = (least.shortcut_grad or 0.0) / (least.branch_grad or 1.0)
        share = f"{ratio:.1e} of what the branch brings (at {least.target})"
        says = f"through the shortcut of {_skips(blocked)} comes back {share}"
        yield _ill("shortcut blocked", says, tuple(s.target for s in blocked), ratio)


def _parameters(record: FlowRecord) -> Iterator[Verdict]:
    if record.not_optimised:
        names = record.not_optimised
        yield _ill("not optimised", f"no optimizer that was watched has {_named(names)}", names, None)
    if record.frozen:
        says = f"{_named(record.frozen)} {'requires' if len(record.frozen) == 1 else 'require'} no gradient"
        yield Verdict("frozen", says, record.frozen, is_ill=False)


_READERS: Sequence[Callable[[FlowRecord], Iterator[Verdict]]] = (
    _course, _rounding, _step, _branches, _shortcuts, _parameters,
)  # fmt: skip


# ---- words


def _healthy(record: FlowRecord) -> Verdict:
    series, fit = depth_series(record), decay_of(record)
    if fit is None or not series or not series[-1][1]:
        return Verdict("healthy", "nothing here is known to be wrong", is_ill=False)
    says = f"the gradient at {series[0][0].name} is {_times(series[0][1] / series[-1][1])} that at {series[-1][0].name}"
    return Verdict("healthy", says, value=series[0][1] / series[-1][1], is_ill=False)


def _factor(fit: Decay, series: Sequence[tuple[LayerFlow, float]]) -> str:
    """`times 1.211 a layer, which is that of a plain network with batch norm`; where it changes, both factors."""
    if fit.breaks_at is not None and fit.before and fit.after and abs(fit.before / fit.after - 1) > _APART:
        at = series[fit.breaks_at][0].name if fit.breaks_at < len(series) else ""
        return f"times {fit.before:.3g} a layer before {at}, {fit.after:.3g} from there on"
    known = ""
    if fit.r2 > _SURE:
        for value, what, source in KNOWN_FACTORS:
            if abs(fit.factor / value - 1) < _CLOSE:
                known = f", that of {what} ({source})"
    return f"times {fit.factor:.4g} a layer{known}"


def _ill(kind: VerdictKind, says: str, where: tuple[str, ...], value: float | None) -> Verdict:
    limit = THRESHOLDS.get(kind)
    return Verdict(
        kind, says, where, value, limit.value if limit else None, limit.source if limit else "", ADVICE.get(kind, "")
    )


def _added(record: FlowRecord) -> list[SkipFlow]:
    return [skip for skip in record.skips if skip.merge == "add"]


def _times(ratio: float) -> str:
    return f"{ratio:.3g} times"


def _layers(count: int) -> str:
    return f"{count} layer{'s' * (count != 1)}"


def _skips(skips: Sequence[SkipFlow]) -> str:
    return f"skip {skips[0].index}" if len(skips) == 1 else f"{len(skips)} skips"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
