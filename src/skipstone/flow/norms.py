"""Norms of many tensors at once, and the share of an update that floats swallowed. Pure functions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skipstone.tracing import torch_internals


def norms(tensors: Sequence[Tensor | None]) -> list[float]:
    """The 2-norm of each tensor; 0 for None.

    Summed in float64: in float32 the squares of a vanishing gradient (1e-25, say) would themselves vanish.
    """
    present = [t.detach() for t in tensors if t is not None]
    if not present:
        return [0.0] * len(tensors)
    device = present[0].device
    found = torch_internals.norms(present)
    values = iter(torch.stack([norm.to(device) for norm in found]).tolist())
    return [0.0 if t is None else next(values) for t in tensors]


def lost_updates(before: Tensor, after: Tensor, gradient: Tensor | None) -> float | None:
    """The share of elements with a gradient other than zero that a step left bit for bit as they were.

    `before`, `after` and `gradient` have the shape of one parameter. Measured, not computed from learning rate times
    gradient: what a real optimizer makes of a gradient (momentum, Adam's scaling, weight decay) is in `after`. None
    where no element has a gradient.
    """
    if gradient is None:
        return None
    meant = gradient.detach() != 0
    count = int(meant.sum())
    if count == 0:
        return None
    return int((meant & (before == after)).sum()) / count
