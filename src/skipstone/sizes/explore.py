"""Cover all points by passes: each speaks for every point that takes its path; the next starts at one left over."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import nn

from skipstone.sizes.allowance import Allowance
from skipstone.sizes.concrete import Verdict, each_size
from skipstone.sizes.passes import Mask, single_pass, sweep_pass
from skipstone.sizes.request import Request
from skipstone.sizes.vector import Sweep
from skipstone.tracing.deadline import OutOfTime

Points = Mapping[str, NDArray[np.int64]]
# Sizes beyond those asked: an axis that is 1 at all of them too is 1 by design, not by chance.
_PROBES = (1, 2, 3, 5, 7, 12, 31, 64, 97, 224, 333, 1001)
_COMPARED = 4  # as many of the extra sizes are passed one by one, for comparison
_SMALL_REGIONS = 6  # after so many passes in a row that cover next to nothing, go through the sizes in order


@dataclass
class Exploration:
    """What is known so far about each point: does the network run, does it rest on a broadcast, is it known at all.

    `part` numbers the pass that spoke for a point, -1 where it had one of its own; `ran` are the points at which the
    network really ran; `doubted` tells whether real runs left points unknown that the record allows.
    """

    known: Mask
    runs: Mask
    broadcast: Mask
    part: NDArray[np.int64]
    passes: int = 0
    singles: int = 0
    steps: int = 0  # operations of the longest pass
    ran: list[int] = field(default_factory=list)
    doubted: bool = False
    refusals: list[tuple[int, int, str]] = field(default_factory=list)  # example, number of points, reason
    confirmed: set[str] = field(default_factory=set)  # kinds of refusal that a pass at one size showed too
    ends: set[tuple[str, int]] = field(default_factory=set)  # of passes: the kind of refusal, and the operations before

    @classmethod
    def of(cls, count: int) -> "Exploration":
        no = np.zeros(count, np.bool_)
        return cls(no.copy(), no.copy(), no.copy(), np.full(count, -1, dtype=np.int64))

    @property
    def legal(self) -> Mask:
        return self.known & self.runs & ~self.broadcast

    @property
    def refused_alike(self) -> bool:
        """Is every point refused, at one place and in one way? Then the size has no part in it."""
        return bool(self.known.all()) and not self.runs.any() and len(self.ends) == 1


def explore(
    model: nn.Module, request: Request, points: Points, allowance: Allowance, first: int | None = None
) -> Exploration:
    """Cover `points` as far as the allowance goes: from the last one on, or outward from the point number `first`."""
    count = len(next(iter(points.values())))
    padded = padded_points(points)
    found = Exploration.of(count)
    focus: int | None = count - 1 if first is None else first
    tiny = 0
    while focus is not None:
        try:
            covered = _one(model, request, padded, focus, count, found, allowance)
        except OutOfTime:  # a pass without end: what is not known by now stays unknown
            break
        tiny = tiny + 1 if covered <= 2 else 0
        left = np.flatnonzero(~found.known)
        if not len(left) or allowance.over:
            break
        if first is not None:
            focus = int(left[np.argmin(np.abs(left - first))])
        else:
            focus = int(left[0] if tiny >= _SMALL_REGIONS else left[len(left) // 2])
    return found


def _one(
    model: nn.Module, request: Request, padded: Points, focus: int, count: int, found: Exploration, allowance: Allowance
) -> int:
    """One pass from `focus`; what it says does not run is confirmed at one size, once for each kind of refusal."""
    outcome = sweep_pass(model, request, Sweep(padded, focus), allowance)
    covers = outcome.covers[:count] & ~found.known
    found.passes += 1
    if not outcome.runs and _kind(outcome.reason) not in found.confirmed:
        _, reason = single_pass(model, request, _at(padded, focus), allowance)
        if reason is None or _error(reason) != _error(
            outcome.reason
        ):  # what failed was the pass with many sizes, not the network: look at each size
            return _one_by_one(model, request, padded, np.flatnonzero(covers).tolist(), found, allowance)
        found.confirmed.add(_kind(outcome.reason))
    if outcome.runs:
        found.steps = max(found.steps, outcome.steps)
        found.part[covers] = found.passes
        found.known |= covers
        found.runs |= covers
        found.broadcast |= covers & outcome.broadcast[:count]
    else:
        _refuse(found, focus, covers, outcome.reason, outcome.steps)
    for mask, words in outcome.failed:
        refused = np.flatnonzero(mask[:count] & ~found.known)
        if len(refused):
            example = int(refused[len(refused) // 2])
            _, reason = single_pass(model, request, _at(padded, example), allowance)
            if reason is not None:
                _refuse(found, example, mask[:count] & ~found.known, words or reason)
    if not found.known[focus]:  # refused on the way, and yet not at one size
        return _one_by_one(model, request, padded, [focus], found, allowance)
    return int(covers.sum())


def _refuse(found: Exploration, example: int, points: Mask, reason: str, steps: int = -1) -> None:
    found.known |= points
    found.ends.add((_kind(reason), steps))
    found.refusals.append((example, int(points.sum()), reason))


def _error(reason: str) -> str:
    return reason.partition(":")[0]


def _kind(reason: str) -> str:
    """The reason without its numbers."""
    return re.sub(r"\d+", "#", reason)


def _one_by_one(
    model: nn.Module, request: Request, padded: Points, indices: Sequence[int], found: Exploration, allowance: Allowance
) -> int:
    verdicts = singly(model, request, padded, indices, len(found.known), allowance)
    for index, verdict in zip(indices, verdicts, strict=False):
        found.known[index] = True
        found.runs[index] = verdict.reason is None
        found.broadcast[index] = verdict.broadcast
        found.part[index] = -1
        if verdict.reason is not None:
            found.ends.add((_kind(verdict.reason), len(verdict.graph)))
            found.refusals.append((index, 1, verdict.reason))
    found.singles += len(verdicts)
    return len(verdicts)


def singly(
    model: nn.Module, request: Request, padded: Points, indices: Sequence[int], count: int, allowance: Allowance,
    compared: int = _COMPARED,
) -> list[Verdict]:  # fmt: skip
    """A pass at each of these points, judged beside the last few of the extra ones, as far as the allowance goes."""
    others = [_at(padded, index) for index in range(count, len(padded[next(iter(padded))]))]
    return each_size(model, request, [_at(padded, index) for index in indices], others[-compared:], allowance)


def go_through(
    model: nn.Module, request: Request, points: Points, indices: Sequence[int], found: Exploration, allowance: Allowance
) -> None:
    """What was said of these points is not to be trusted: each gets a pass of its own, and is unknown without."""
    found.known[list(indices)] = found.runs[list(indices)] = False
    with suppress(OutOfTime):
        _one_by_one(model, request, padded_points(points), indices, found, allowance)


def explore_singly(model: nn.Module, request: Request, points: Points, allowance: Allowance) -> Exploration:
    """Every point by a pass of its own, in order: slow, and independent of sizes that stand for many."""
    count = len(next(iter(points.values())))
    found = Exploration.of(count)
    _one_by_one(model, request, padded_points(points), range(count), found, allowance)
    return found


def padded_points(points: Points) -> Points:
    """The points and behind them the extra ones."""
    return {name: np.concatenate([values, np.array(_PROBES, dtype=np.int64)]) for name, values in points.items()}


def _at(points: Points, index: int) -> dict[str, int]:
    return {name: int(values[index]) for name, values in points.items()}
