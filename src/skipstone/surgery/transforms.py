"""What an edit does to one operand: `Transform` as a function of tensors."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from skipstone.core.edit import Transform

Change = Callable[[Tensor, Tensor], Tensor]  # the operand, the operand it is to fit (itself where there is none)


def change_of(transform: Transform, op: str) -> Change:
    """The function a transform other than "module" stands for; `op` is the operation whose operand it changes."""
    arguments = transform.arguments
    axes = arguments.get("axes")
    chosen = tuple(axes) if isinstance(axes, tuple | list) else None
    match transform.kind:
        case "clone":
            return lambda x, like: x.clone()
        case "zero":
            return lambda x, like: torch.zeros_like(x)
        case "crop-like":
            return lambda x, like: _crop(x, like, chosen, center=False)
        case "center-crop-like":
            return lambda x, like: _crop(x, like, chosen, center=True)
        case "pad-like":
            return lambda x, like: _pad(x, like, chosen)
        case "interpolate-like":
            if chosen is None:
                return lambda x, like: F.interpolate(x, size=like.shape[2:], mode="nearest")
            return lambda x, like: _resample(x, like, chosen)
        case "expand-like":
            first = 2 if op in ("cat", "stack") else 0
            return lambda x, like: _expand(x, like, first)
        case "flatten":
            return lambda x, like: x.flatten(1)
        case "unsqueeze":
            dims = _dims(arguments.get("dims", ()))
            return lambda x, like: _unsqueeze(x, dims)
        case "permute":
            order = _dims(arguments.get("dims", ()))
            return lambda x, like: x.permute(order)
        case "module":
            raise AssertionError("a transform through a module is made by the module")


def _axes(x: Tensor, like: Tensor, chosen: tuple[int, ...] | None) -> tuple[int, ...]:
    return chosen if chosen is not None else tuple(range(2, min(x.dim(), like.dim())))


def _crop(x: Tensor, like: Tensor, chosen: tuple[int, ...] | None, *, center: bool) -> Tensor:
    for axis in _axes(x, like, chosen):
        spare = x.shape[axis] - like.shape[axis]
        if spare > 0:
            x = x.narrow(axis, spare // 2 if center else 0, like.shape[axis])
    return x


def _pad(x: Tensor, like: Tensor, chosen: tuple[int, ...] | None) -> Tensor:
    axes = _axes(x, like, chosen)
    amounts = [0] * (2 * x.dim())
    for axis in axes:
        amounts[2 * (x.dim() - 1 - axis % x.dim()) + 1] = max(0, like.shape[axis] - x.shape[axis])
    return F.pad(x, amounts) if any(amounts) else x


def _resample(x: Tensor, like: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Nearest neighbour along any axes, as `interpolate` picks them: position floor(i * size / wanted)."""
    for axis in axes:
        size, wanted = x.shape[axis], like.shape[axis]
        if size != wanted:
            x = x.index_select(axis, torch.arange(wanted, device=x.device) * size // wanted)
    return x


def _expand(x: Tensor, like: Tensor, first: int) -> Tensor:
    sizes = list(x.shape)
    for axis in range(first, min(x.dim(), like.dim())):
        if sizes[axis] == 1:
            sizes[axis] = like.shape[axis]
    return x.expand(sizes)


def _unsqueeze(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    for dim in dims:
        x = x.unsqueeze(dim)
    return x


def _dims(value: object) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)  # type: ignore[call-overload]
