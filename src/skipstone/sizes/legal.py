"""`legal_sizes`: exact legal input sizes, per free axis and jointly."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.core.sizes import AxisSizes, Refusal, SizeReport
from skipstone.execution import Run
from skipstone.sizes.allowance import Allowance
from skipstone.sizes.confirm import Question, confirm
from skipstone.sizes.explore import Exploration, Points, explore, explore_singly
from skipstone.sizes.passes import Mask
from skipstone.sizes.request import Pattern, Request, SizesError, parse_request
from skipstone.sizes.rule import describe
from skipstone.sizes.selftest import sizes_differ
from skipstone.tracing.deadline import NO_LIMIT, time_limit
from skipstone.tracing.nests import leaves_in
from skipstone.tracing.selftest import self_test
from skipstone.tracing.session import Mode, asked_for, undisturbed

Method = Literal["auto", "each"]
_SECONDS = 30.0
_MAX_REFUSALS = 3
# Sizes that networks are made for: combinations of several free axes are looked at on a grid of these.
_TYPICAL = (1, 2, 3, 4, 7, 8, 16, 28, 32, 33, 48, 56, 64, 96, 112, 128, 192, 224, 256, 299, 384, 512)
_MAX_GRID = 600


def legal_sizes(
    model: nn.Module,
    inputs: object,
    *,
    mode: Mode | None = None,
    seconds: float = _SECONDS,
    method: Method = "auto",
    run: Run = "auto",
    budget: float = 0.5,
    **ranges: Sequence[int],
) -> SizeReport:
    """The sizes at which `model` runs, by torch's own shape rules, on tensors without values.

    Args:
        model: any module; it stays as it was.
        inputs: a shape with letters for its free axes, `(2, 3, "h", "w")`, the same letter for axes of one size;
            several inputs as a tuple, keyword arguments as a dict; a shape may end in a dtype.
        mode: "train" or "eval", as for `check`; it counts: batch norm in training refuses one value per channel.
        seconds: of a slow core, reckoned by the operations recorded, so that a report is the same each time; what is
            not reached within them is left out, and the report says so.
        method: "auto", or "each" for a pass at every single size (slow; an independent check).
        run: "auto" really runs a copy at the edges of what is legal (the smallest, the ends of each stretch, and on the
            way) as far as that fits `budget` (seconds), for what no record of shapes sees; True whatever it costs,
            False does not. `AxisSizes.ran` says at which sizes it ran.
        ranges: the sizes in question for each letter, `h=range(1, 4097)`; 1..512 where none is given.

    A size is legal when the forward pass raises nothing and no merge rests on an accidental broadcast (see
    `skipstone.graphs.broadcast`); sizes that run only by one are listed apart.

    Raises:
        SizesError: no axis is free, or a range belongs to none.
        ExampleError: inputs of no known form.
    """
    if not isinstance(model, nn.Module):
        raise SkipstoneError(f"a model must be a torch.nn.Module, not {type(model).__name__}: {model!r}")
    if method not in ("auto", "each"):
        raise SizesError(f"method is {method!r}, expected 'auto' or 'each'")
    if not isinstance(seconds, int | float) or not seconds > 0:
        raise SizesError(f"seconds is {seconds!r}, expected a number of them, more than 0")
    self_test("the legal sizes", lambda: sizes_differ(legal_sizes))
    with asked_for(mode) if mode is not None else nullcontext(), undisturbed(model), time_limit(NO_LIMIT):
        return _legal_sizes(model, parse_request(inputs, ranges), _How(seconds, method, run, budget))


@dataclass(frozen=True, slots=True)
class _How:
    """By which method, and how many seconds records and runs may take."""

    seconds: float
    method: Method
    run: Run
    budget: float

    def share(self, seconds: float, budget: float) -> "_How":
        return replace(self, seconds=self.seconds * seconds, budget=self.budget * budget)


def _legal_sizes(model: nn.Module, request: Request, how: _How) -> SizeReport:
    shapes = tuple(_shapes((request.args, tuple(request.kwargs.values()))))
    if len(request.ranges) == 1:
        ((symbol, sizes),) = request.ranges.items()
        found = _explore(model, request, {symbol: np.array(sizes, dtype=np.int64)}, how)
        points = {symbol: np.array(sizes, dtype=np.int64)}
        axis = _axis(symbol, sizes, found, {})
        return SizeReport(shapes, (axis,), _method_text((found,), how.method), _refusals(found, points))
    return _several(model, request, shapes, how)


def _explore(model: nn.Module, request: Request, points: Points, how: _How) -> Exploration:
    if how.method == "each":
        return explore_singly(model, request, points, Allowance(how.seconds))
    allowance = Allowance(how.seconds)
    found = explore(model, request, points, allowance)
    confirm(Question(model, request, points), found, run=how.run, budget=how.budget, allowance=allowance)
    return found


def _axis(symbol: str, sizes: Sequence[int], found: Exploration, others: Mapping[str, int]) -> AxisSizes:
    values = np.array(sizes, dtype=np.int64)

    def chosen(mask: Mask) -> frozenset[int]:
        return frozenset(values[mask].tolist())

    checked, legal, broadcast = chosen(found.known), chosen(found.legal), chosen(found.known & found.broadcast)
    return AxisSizes(
        symbol, frozenset(sizes), checked, legal, broadcast, describe(legal, checked, symbol),
        describe(broadcast, checked, symbol), others, tuple(values[sorted(found.ran)].tolist()), found.doubted,
    )  # fmt: skip


def _several(model: nn.Module, request: Request, shapes: tuple[tuple[int | str, ...], ...], how: _How) -> SizeReport:
    """A grid of combinations for a legal one; then each axis on its own with the others held there."""
    names = list(request.ranges)
    grid = _grid(request.ranges)
    table = {name: np.array([point[i] for point in grid], dtype=np.int64) for i, name in enumerate(names)}
    runs = 1 / (1 + len(names))
    joint = _explore(model, request, table, how.share(1 / 2, runs))
    held = _held(grid, joint)
    axes, found = [], [joint]
    for i, name in enumerate(names):
        sizes = request.ranges[name]
        line = {
            other: np.array(sizes, dtype=np.int64) if other == name else np.full(len(sizes), held[k], dtype=np.int64)
            for k, other in enumerate(names)
        }
        found.append(_explore(model, request, line, how.share(1 / 2 / len(names), runs)))
        axes.append(_axis(name, sizes, found[-1], {other: held[k] for k, other in enumerate(names) if k != i}))

    def chosen(mask: Mask) -> frozenset[tuple[int, ...]]:
        return frozenset(point for point, inside in zip(grid, mask.tolist(), strict=True) if inside)

    legal, checked = chosen(joint.legal), chosen(joint.known)
    known = [point for point in checked if all(s in axis.checked for s, axis in zip(point, axes, strict=True))]
    independent = all(
        all(s in axis.legal for s, axis in zip(point, axes, strict=True)) == (point in legal) for point in known
    )
    return SizeReport(
        shapes, tuple(axes), _method_text(found, how.method), _refusals(joint, table), legal,
        chosen(joint.known & joint.broadcast), checked, independent if legal else None,
    )  # fmt: skip


def _grid(ranges: Mapping[str, Sequence[int]]) -> list[tuple[int, ...]]:
    """Combinations of typical sizes, and equal sizes on every axis."""
    room = max(2, int(_MAX_GRID ** (1 / len(ranges))))
    picked = []
    for sizes in ranges.values():
        inside = [size for size in _TYPICAL if size in set(sizes)] or list(sizes)
        picked.append(inside[:: -(-len(inside) // room)] if len(inside) > room else inside)
    common = set.intersection(*(set(sizes) for sizes in ranges.values()))
    diagonal = [(size,) * len(ranges) for size in sorted(common)]
    return list(dict.fromkeys([*product(*picked), *diagonal]))


def _held(grid: Sequence[tuple[int, ...]], joint: Exploration) -> tuple[int, ...]:
    """The legal combination nearest to 64 on every axis; without a legal one the nearest combination at all."""
    legal = [point for point, inside in zip(grid, joint.legal.tolist(), strict=True) if inside]
    return min(legal or grid, key=lambda point: (max(abs(size - 64) for size in point), point))


def _refusals(found: Exploration, points: Points) -> tuple[Refusal, ...]:
    largest = sorted(found.refusals, key=lambda refusal: -refusal[1])[:_MAX_REFUSALS]
    return tuple(
        Refusal({name: int(values[focus]) for name, values in points.items()}, count, reason)
        for focus, count, reason in largest
    )


def _method_text(explorations: Sequence[Exploration], method: Method) -> str:
    passes, singles = sum(e.passes for e in explorations), sum(e.singles for e in explorations)
    if method == "each":
        return f"torch's shape rules at each size, {singles} passes"
    alone = f", {singles} size{'' if singles == 1 else 's'} one by one" if singles else ""
    run = "; legal sizes really run at the edges" if any(e.ran for e in explorations) else ""
    return f"torch's shape rules on all sizes at once, {passes} pass{'' if passes == 1 else 'es'}{alone}{run}"


def _shapes(value: object) -> Iterator[tuple[int | str, ...]]:
    return (pattern.shape for pattern in leaves_in(value, Pattern))
