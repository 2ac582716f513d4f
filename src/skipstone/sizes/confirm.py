"""What passes that spoke for many sizes found is looked at again at its edges, by records of one size and by real runs.

A record at one size sees what a pass at many cannot: code that insists on a true number, sizes that had to be fixed on
the way, indices whose values are known. Where it disagrees, every size of that part gets one of its own.

A real run sees what no record of shapes does. What torch refuses there at every size (another precision, an output
padding) makes no size legal; what it refuses at some takes these away, and what lies between two that differ is run
too or is not known. Nothing that the record refuses becomes legal by a run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from skipstone.core.graph import Graph
from skipstone.execution import Plan, Run, Witness, forward_seconds, is_of_values, plan
from skipstone.sizes.allowance import Allowance, seconds_of
from skipstone.sizes.edges import edges
from skipstone.sizes.explore import Exploration, Points, go_through, padded_points, singly
from skipstone.sizes.request import Request
from skipstone.tracing import Example, trace
from skipstone.tracing.session import uncollected

_MOST = 8  # edges that are looked at
_LEAST = 3  # ... whatever a record takes
_LEAST_RUN = 4
_SHARE = 0.05  # of the budget, for runs where nothing disagrees
_CHANGES = 2  # between sizes that run and sizes that don't: more of them follow no bounds


@dataclass(frozen=True)
class Question:
    """Whose sizes: the model, what is asked of it, and the points in question; `first`: the one that matters most."""

    model: nn.Module
    request: Request
    points: Points
    first: int | None = None


def confirm(asked: Question, found: Exploration, *, run: Run, budget: float, allowance: Allowance) -> None:
    """Look again at the edges of `found`, within `budget` seconds each for records and for runs, and correct it.

    Sizes that a record of one disagrees about are recorded singly as far as the allowance goes.
    """
    with uncollected():
        records = _recorded(asked, found, budget, allowance)
        if run is not False and records:
            _run(asked, found, records, run, budget)


def _recorded(asked: Question, found: Exploration, budget: float, allowance: Allowance) -> Mapping[int, Graph]:
    """A record at each edge, as far as torch and the passes at many sizes agree."""
    most = max(_LEAST, min(_MOST, int(budget / seconds_of(found.steps))))
    picked = edges(found, asked.first)[:most]
    padded = padded_points(asked.points)
    verdicts = singly(asked.model, asked.request, padded, picked, len(found.known), allowance, compared=2)
    records, wrong = {}, set()
    for point, verdict in zip(picked, verdicts, strict=False):
        if verdict.reason is None:
            records[point] = verdict.graph
        if verdict.reason is not None or verdict.broadcast != found.broadcast[point]:
            wrong.add(int(found.part[point]))
    for part in wrong - {-1}:
        go_through(asked.model, asked.request, asked.points, _outward(asked, found, part), found, allowance)
    return {point: graph for point, graph in records.items() if found.known[point] and found.runs[point]}


def _outward(asked: Question, found: Exploration, part: int) -> list[int]:
    inside = np.flatnonzero(found.part == part)
    return sorted(inside.tolist(), key=lambda point: (abs(point - (asked.first or 0)), point))


# ---- real runs


def _run(asked: Question, found: Exploration, records: Mapping[int, Graph], run: Run, budget: float) -> None:
    start = min(records)
    example = _example(asked, start)
    planned = plan(asked.model, example, trace(asked.model, example), run=run, budget=budget)
    if not isinstance(planned, Plan) or not planned.as_asked:
        return
    told: dict[int, str | None] = {}
    for point in _affordable(asked.model, records, _SHARE * budget if run == "auto" else float("inf")):
        if not _try(asked, planned, point, told):
            return
    refused = {point: reason for point, reason in told.items() if reason is not None}
    if refused and len(refused) < len(told):
        refused = _between(asked, planned, found, told, records, budget)
    elif refused:
        refused = dict.fromkeys(np.flatnonzero(found.runs).tolist(), next(iter(refused.values())))
    found.ran += told
    if refused:
        found.runs[list(refused)] = found.broadcast[list(refused)] = False
        example_, reason = next(iter(refused.items()))
        found.refusals.append((example_, len(refused), reason))


def _affordable(model: nn.Module, records: Mapping[int, Graph], budget: float) -> Iterator[int]:
    """The points whose forward passes fit the budget together, by an estimate: the same ones each time.

    Some of the smallest in any case: a few that are refused tell more than one.
    """
    spent, least = 0.0, sorted(records)[:_LEAST_RUN]
    for point, graph in records.items():
        seconds = forward_seconds(model, graph)
        if seconds is not None and (point in least or spent + seconds <= budget):
            spent += seconds
            yield point


def _reckoned(model: nn.Module, records: Mapping[int, Graph], point: int) -> float:
    """The seconds of a forward pass at a point, by the record of the next one above."""
    above = [other for other in records if other >= point]
    seconds = forward_seconds(model, records[min(above) if above else max(records)])
    return float("inf") if seconds is None else seconds


def _try(asked: Question, planned: Plan, point: int, told: dict[int, str | None]) -> bool:
    """A forward pass in the model's own mode: what it says goes to `told`. False: it did not end in time."""
    done = Witness(asked.model, replace(planned, example=_example(asked, point))).run()
    if done.raised is None:
        told[point] = None
    elif not is_of_values(done.raised):
        told[point] = str(done.raised)
    return done.ended


def _between(
    asked: Question, planned: Plan, found: Exploration, told: dict[int, str | None],
    records: Mapping[int, Graph], budget: float,
) -> dict[int, str]:  # fmt: skip
    """Where some sizes run and others don't: the points that are refused. What is in doubt and cannot be run, for want
    of time, is unknown afterwards."""
    left = budget
    claimed = np.flatnonzero(found.known & found.runs).tolist()
    tested = [point for point in claimed if point in told]
    changes = sum((told[a] is None) != (told[b] is None) for a, b in pairwise(tested))
    bounded = changes <= _CHANGES and len(asked.points) == 1
    while left > 0 and (point := _next(claimed, told, bounded)) is not None:
        left -= _reckoned(asked.model, records, point)
        if not _try(asked, planned, point, told) or point not in told:
            break
    refused = {point: reason for point, reason in told.items() if reason is not None}
    for point in claimed:
        if point not in told:
            below, above = _around(point, told)
            if not bounded or (below is None) != (above is None):
                found.known[point] = found.runs[point] = False
                found.doubted = True
            elif below is not None:
                refused[point] = below
    return refused


def _next(claimed: Sequence[int], told: Mapping[int, str | None], bounded: bool) -> int | None:
    """The point to run next: halfway between two that differ; where they follow no bounds, the first that is left."""
    if not bounded:
        return next((point for point in claimed if point not in told), None)
    tested = [place for place, point in enumerate(claimed) if point in told]
    for a, b in pairwise(tested):
        if b - a > 1 and (told[claimed[a]] is None) != (told[claimed[b]] is None):
            return claimed[(a + b) // 2]
    return None


def _around(point: int, told: Mapping[int, str | None]) -> tuple[str | None, str | None]:
    """What was told of the nearest points below and above; beyond the last one, the same again."""
    below = max((other for other in told if other < point), default=None)
    above = min((other for other in told if other > point), default=None)
    known = [told[other] for other in (below, above) if other is not None]
    return known[0], known[-1]


def _example(asked: Question, point: int) -> Example:
    def make(tensor: torch.Tensor, shape: Sequence[int | torch.SymInt]) -> torch.Tensor:
        sizes = tuple(map(int, shape))
        return tensor if sizes == tuple(tensor.shape) else torch.empty(sizes, dtype=tensor.dtype, device="meta")

    args, kwargs = asked.request.build(lambda name: int(asked.points[name][point]), make)
    return Example(args, kwargs)
