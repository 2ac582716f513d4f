"""The second witness for sizes: at the edges of what the record calls legal, a copy of the network is really run.

What torch refuses there whatever the size (another precision, an output padding) makes no size legal; what it refuses
at some sizes takes these away. Nothing that the record refuses becomes legal by a run.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from skipstone.execution import Pass, Plan, Run, Witness, is_of_values, plan
from skipstone.sizes.explore import Exploration, Points
from skipstone.sizes.request import Request
from skipstone.tracing import Example, trace

_EDGES = 6  # sizes that are run where torch agrees


def confirm(model: nn.Module, request: Request, points: Points, found: Exploration, run: Run, budget: float) -> None:
    """Run the network at legal points, the smallest first, within `budget` seconds; correct `found` by torch's word."""
    legal = np.flatnonzero(found.known & found.runs).tolist()
    if run is False or not legal:
        return
    first = _example(request, points, legal[0])
    planned = plan(model, first, trace(model, first), run=run, budget=budget)
    if not isinstance(planned, Plan) or not planned.as_asked:
        return
    end = time.monotonic() + budget
    refused: dict[int, str] = {}
    for number, (point, done) in enumerate(_passes(model, planned, request, points, legal, end)):
        if done.raised is not None and not is_of_values(done.raised):
            refused[point] = str(done.raised)
        found.really_run += 1
        if not refused and number + 1 >= _EDGES:
            break
    if refused and len(refused) == found.really_run:
        refused = dict.fromkeys(legal, next(iter(refused.values())))
    if refused:
        found.runs[list(refused)] = found.broadcast[list(refused)] = False
        example, reason = next(iter(refused.items()))
        found.refusals.append((example, len(refused), reason))


def _passes(
    model: nn.Module, planned: Plan, request: Request, points: Points, legal: Sequence[int], end: float
) -> Iterator[tuple[int, Pass]]:
    """A forward pass in the model's own mode at each point, as long as there is time."""
    for point in legal:
        done = Witness(model, replace(planned, example=_example(request, points, point))).run()
        if not done.ended:
            return
        yield point, done
        if time.monotonic() > end:
            return


def _example(request: Request, points: Points, point: int) -> Example:
    def make(tensor: torch.Tensor, shape: Sequence[int | torch.SymInt]) -> torch.Tensor:
        sizes = tuple(map(int, shape))
        return tensor if sizes == tuple(tensor.shape) else torch.empty(sizes, dtype=tensor.dtype, device="meta")

    args, kwargs = request.build(lambda name: int(points[name][point]), make)
    return Example(args, kwargs)
