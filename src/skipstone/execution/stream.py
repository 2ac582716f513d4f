"""What every operation of a pass gave, small enough to keep: to find the first at which two passes part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from skipstone.core.graph import Place
from skipstone.execution.watching import Watch
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.position import places

Sketch = tuple[torch.Tensor, ...]
_CLOSE = 1e-5


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


def sketch(tensor: torch.Tensor) -> Sketch:
    """For each axis, what lies at each position along it: the sum of the values and of their squares.

    (A, B) -> ((2, A), (2, B)); a number -> ((2, 1),).
    """
    values = tensor.detach()
    values = torch.view_as_real(values) if values.is_complex() else values
    values = values.to("cpu", torch.float64).nan_to_num(0.0, 0.0, 0.0)
    values = values.reshape(1) if values.dim() == 0 else values
    both = torch.stack([values, values.square()])
    return tuple(
        both.sum([a + 1 for a in range(values.dim()) if a != axis]) if values.dim() > 1 else both
        for axis in range(values.dim())
    )


def alike(a: Sketch, b: Sketch) -> bool:
    """Do two results hold the same values, as far as their sketches tell?"""
    return len(a) == len(b) and all(
        one.shape == two.shape and torch.allclose(one, two, rtol=_CLOSE, atol=1e-9)
        for one, two in zip(a, b, strict=True)
    )


def keeps_apart(a: Sketch, b: Sketch, samples: int) -> bool:
    """Is there an axis along which the first sample's part is the same in both, whatever became of the other samples?

    Samples may follow one another in blocks (batch first, or folded with what follows) or in turns (folded last).
    """
    for one, two in zip(a, b, strict=True):
        size = one.shape[-1]
        if one.shape != two.shape or size % samples:
            continue
        for part in (slice(0, size // samples), slice(0, None, samples)):
            if _close(one[:, part], two[:, part]):
                return True
    return False


def _close(one: torch.Tensor, two: torch.Tensor) -> bool:
    return one.shape == two.shape and torch.allclose(one, two, rtol=_CLOSE, atol=1e-9)


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
