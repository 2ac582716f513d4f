"""Zeros at the far end of axes, up to the other operand's size."""

import torch

from skipstone.surgery.transforms.meaning import Meaning


def pad_like(x: torch.Tensor, like: torch.Tensor, axes: tuple[int, ...] | None = None) -> torch.Tensor:
    """Zeros at the far end of the axes of x (the spatial ones), up to the size of like."""
    amounts = [0] * (2 * x.dim())
    for axis in axes or range(2, x.dim()):
        amounts[2 * (x.dim() - 1 - axis) + 1] = max(0, like.shape[axis] - x.shape[axis])
    return torch.nn.functional.pad(x, amounts)


MEANING = Meaning(
    lambda use: lambda x, like, holder: pad_like(x, like, use.axes),
    lambda use, x, like: f"pad_like({x}, {like}{use.more})",
    "pad {operand} with zeros at the far end of its spatial axes to the size of {like}",
    lambda use: pad_like,
)
