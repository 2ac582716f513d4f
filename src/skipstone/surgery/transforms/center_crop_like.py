"""Axes cut about their centre, down to the other operand's size (U-Net, 1505.04597, section 2)."""

import torch

from skipstone.surgery.transforms.meaning import Meaning


def center_crop_like(x: torch.Tensor, like: torch.Tensor, axes: tuple[int, ...] | None = None) -> torch.Tensor:
    """The axes of x (the spatial ones) cut about their centre, down to the size of like."""
    for axis in axes or range(2, x.dim()):
        spare = x.shape[axis] - like.shape[axis]
        if spare > 0:
            x = x.narrow(axis, spare // 2, like.shape[axis])
    return x


MEANING = Meaning(
    lambda use: lambda x, like, holder: center_crop_like(x, like, use.axes),
    lambda use, x, like: f"center_crop_like({x}, {like}{use.more})",
    "crop {operand} about its centre to the size of {like}",
    lambda use: center_crop_like,
)
