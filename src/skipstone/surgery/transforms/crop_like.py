"""The far end of axes cut off, down to the other operand's size."""

import torch

from skipstone.surgery.transforms.meaning import Meaning


def crop_like(x: torch.Tensor, like: torch.Tensor, axes: tuple[int, ...] | None = None) -> torch.Tensor:
    """The far end of the axes of x (the spatial ones) cut off, down to the size of like."""
    for axis in axes or range(2, x.dim()):
        x = x.narrow(axis, 0, min(x.shape[axis], like.shape[axis]))
    return x


MEANING = Meaning(
    lambda use: lambda x, like, holder: crop_like(x, like, use.axes),
    lambda use, x, like: f"crop_like({x}, {like}{use.more})",
    "crop {operand} at the far end of its spatial axes to the size of {like}",
    lambda use: crop_like,
)
