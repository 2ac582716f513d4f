"""What every operation of a pass gave, small enough to keep: to find the first at which two passes part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal

import torch

from skipstone.core.graph import Place
from skipstone.execution.sketches import Sketch, alike, sketch
from skipstone.execution.watching import Watch
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.position import places


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: its name, how often it had begun in its module, the line; the results' sketches.

    `strangers` are the parameters among its operands that the model does not hold. `makes` says what a result holds
    and no operand does: "nan", or else "inf".
    """

    op: str
    module: str
    time: int
    place: Place | None
    results: tuple[Sketch, ...]
    strangers: tuple[torch.Tensor, ...] = ()
    makes: Literal["", "inf", "nan"] = ""


@dataclass
class Stream:
    """Give `see` to a pass; `steps` then holds its operations in order."""

    steps: list[Step] = field(default_factory=list)

    def see(self, watch: Watch, op: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        operands, results = tensors_in((args, kwargs)), tensors_in(result)
        strangers = tuple(t for t in operands if isinstance(t, torch.nn.Parameter) and id(t) not in watch.clone.names)
        time = watch.counts[op, watch.path]
        sketches = tuple(map(sketch, results))
        self.steps.append(Step(op, watch.path, time, places()[0], sketches, strangers, _made(results, operands)))


def parting(one: Stream, two: Stream) -> tuple[Step | None, Step | None]:
    """The first operation of each pass at which they part, by what was done or by what came of it.

    None where a pass has ended before, or both where they never part.
    """
    for a, b in zip_longest(one.steps, two.steps):
        if a is None or b is None or (a.op, a.module, a.place) != (b.op, b.module, b.place):
            return a, b
        if len(a.results) != len(b.results) or not all(map(alike, a.results, b.results)):
            return a, b
    return None, None


def _made(results: Sequence[torch.Tensor], operands: Sequence[torch.Tensor]) -> Literal["", "inf", "nan"]:
    if all(map(_is_finite, results)):
        return ""
    if _any_nan(results):
        return "" if _any_nan(operands) else "nan"
    return "inf" if all(map(_is_finite, operands)) else ""


def _any_nan(tensors: Sequence[torch.Tensor]) -> bool:
    return any(tensor.is_floating_point() and bool(tensor.detach().isnan().any()) for tensor in tensors)


def _is_finite(tensor: torch.Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.detach().isfinite().all())
