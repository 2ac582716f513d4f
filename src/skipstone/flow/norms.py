"""Norms of many tensors at once, and what a step did to them. Pure functions of tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skipstone.tracing import torch_internals

_SAFE = 1e-12, 1e15  # norms whose squares float32 holds: elements too small for it add less than 1e-8 of the whole
_FIELDS = (torch.float16,)  # formats whose gradients underflow in practice: bfloat16 and wider reach down to 1e-38


def norms(tensors: Sequence[Tensor | None]) -> list[float]:
    """The 2-norm of each tensor, sqrt(sum |x|²); 0 for None. Sparse and complex tensors too.

    Summed in float64 where need be: in float32 the squares of a vanishing gradient (1e-25, say) would vanish too.
    """
    return read([norm_of(tensors)])[0]


def norm_of(tensors: Sequence[Tensor | None]) -> Tensor:
    """The same as one (n,) float64 tensor on the device of the first, so that many may be read at once."""
    present = [(k, values_of(t)) for k, t in enumerate(tensors) if t is not None]
    device = present[0][1].device if present else torch.device("cpu")
    out = torch.zeros(len(tensors), dtype=torch.float64, device=device)
    quick = [(k, values) for k, values in present if _is_quick(values)]
    if quick:
        found = torch.stack(list(torch_internals.norms([values for _, values in quick], torch.float32)))
        out[[k for k, _ in quick]] = found.to(out)
        good = {k for (k, _), norm in zip(quick, found.tolist(), strict=True) if _SAFE[0] < norm < _SAFE[1]}
        present = [(k, values) for k, values in present if k not in good]
    if present:
        exact = [norm.to(device) for norm in torch_internals.norms([values for _, values in present])]
        out[[k for k, _ in present]] = torch.stack(exact)
    return out


def square_of(tensor: Tensor) -> float | Tensor:
    """sum |x|², a number where it is at hand (on a CPU), else a () float64 tensor on its device."""
    values = values_of(tensor)
    if _is_quick(values):
        norm: float = torch.linalg.vector_norm(values).item()
        if _SAFE[0] < norm < _SAFE[1]:
            return norm * norm
    square = torch_internals.norms([values])[0].square()
    return float(square) if square.device.type == "cpu" else square


def _is_quick(values: Tensor) -> bool:
    """On a CPU float32 is twenty times as fast as float64, and does where no square leaves its range."""
    return values.dtype == torch.float32 and values.device.type == "cpu"


def read(columns: Sequence[Tensor]) -> list[list[float]]:
    """(n,) tensors as lists of numbers, with one wait for their device."""
    return torch.stack(list(columns)).tolist()


def values_of(tensor: Tensor) -> Tensor:
    """A tensor's own numbers as real ones: of a sparse one those that are stored, of a complex one both parts."""
    values = tensor.detach()
    if values.is_sparse:
        values = values.coalesce().values()
    elif values.layout is not torch.strided:
        values = values.to_dense()
    return torch.view_as_real(values.resolve_conj()) if values.is_complex() else values


def has_gradient(gradient: Tensor) -> Tensor:
    """(the parameter's shape) bool: where the gradient is not zero."""
    values = gradient.detach()
    return (values if values.layout is torch.strided else values.to_dense()) != 0


def lost_updates(before: Tensor, after: Tensor, gradient: Tensor | None) -> float | None:
    """The share of elements with a gradient other than zero that a step left bit for bit as they were.

    `before`, `after` and `gradient` have the shape of one parameter. Measured, not computed from learning rate times
    gradient: what a real optimizer makes of a gradient (momentum, Adam's scaling, weight decay) is in `after`. None
    where no element has a gradient.
    """
    if gradient is None:
        return None
    meant = has_gradient(gradient)
    count = int(meant.sum())
    return int((meant & (before == after)).sum()) / count if count else None


def unmoved(before: Tensor, after: Tensor) -> float:
    """The share of all elements that a step left as they were: w + Δw == w in their own dtype."""
    return int((before == after).sum()) / max(1, before.numel())


def underflow(gradient: Tensor) -> Tensor:
    """() float64: of the elements other than zero, the share below the smallest normal number of their dtype.

    There a float16 loses bits with every halving, and below 2**-25 the number itself (Micikevicius et al. 2017,
    1710.03740, section 3.2). NaN where every element is zero.
    """
    size = gradient.detach().abs()
    some = size != 0
    return (some & (size < torch.finfo(size.dtype).smallest_normal)).sum().double() / some.sum()


def underflows(tensor: Tensor) -> bool:
    """Is it of a format in which gradients underflow in practice?"""
    return tensor.dtype in _FIELDS
