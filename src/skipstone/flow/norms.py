"""Norms of many tensors at once, and what a step did to them. Pure functions of tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skipstone.tracing import torch_internals

_SAFE = 1e-12, 1e15  # norms whose squares float32 holds: elements too small for it add less than 1e-8 of the whole
_FIELDS = (torch.float16,)  # formats whose gradients underflow in practice: bfloat16 and wider reach down to 1e-38

Number = float | Tensor  # a () tensor where a device is still at work on it


def norms(tensors: Sequence[Tensor | None]) -> list[float]:
    """The 2-norm of each tensor, sqrt(sum |x|²); 0 for None. Sparse and complex tensors too.

    Summed in float64 where need be: in float32 the squares of a vanishing gradient (1e-25, say) would vanish too.
    """
    return numbers(norms_at_once(tensors))


def norms_at_once(tensors: Sequence[Tensor | None]) -> list[Number]:
    """The same without waiting: off the CPU as () float64 tensors, made by one operation; see `numbers`."""
    found: list[Number] = [0.0 if tensor is None or not tensor.is_cpu else norm_at_once(tensor) for tensor in tensors]
    away = [(k, values_of(tensor)) for k, tensor in enumerate(tensors) if tensor is not None and not tensor.is_cpu]
    if away:
        for (k, _), norm in zip(away, torch_internals.norms([values for _, values in away]), strict=True):
            found[k] = norm
    return found


def norm_at_once(tensor: Tensor) -> Number:
    """The norm of one tensor, likewise: a number where it is at hand, on a CPU."""
    if tensor.dtype == torch.float32 and tensor.is_cpu and tensor.layout is torch.strided:
        # Twenty times as fast as float64, and good enough where no square leaves its range.
        quick: float = torch.linalg.vector_norm(tensor.detach()).item()
        if _SAFE[0] < quick < _SAFE[1]:
            return quick
    (norm,) = torch_internals.norms([values_of(tensor)])
    return norm.item() if norm.is_cpu else norm


def numbers(found: Sequence[Number]) -> list[float]:
    """What was found, as numbers, with one wait for the device."""
    held = [number for number in found if isinstance(number, Tensor)]
    if not held:
        return [float(number) for number in found]
    read = iter(torch.stack([number.to(held[0].device, torch.float64) for number in held]).tolist())
    return [next(read) if isinstance(number, Tensor) else float(number) for number in found]


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
