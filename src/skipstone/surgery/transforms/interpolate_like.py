"""The operand resampled to the other one's size, nearest neighbour.

Torch interpolates the axes from 2 on; any others are picked as it picks them: position floor(i * size / wanted).
"""

import torch

from skipstone.surgery.transforms.meaning import Live, Meaning, Use


def resample_like(x: torch.Tensor, like: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """The axes of x resampled to the sizes of like, nearest neighbour."""
    for axis in axes:
        wanted = like.shape[axis]
        x = x.index_select(axis, torch.arange(wanted, device=x.device) * x.shape[axis] // wanted)
    return x


def _live(use: Use) -> Live:
    axes = use.axes
    if axes is not None:
        return lambda x, like, holder: resample_like(x, like, axes)
    return lambda x, like, holder: torch.nn.functional.interpolate(x, size=like.shape[2:], mode="nearest")


def _source(use: Use, x: str, like: str) -> str:
    if use.axes is not None:
        return f"resample_like({x}, {like}{use.more})"
    return f'torch.nn.functional.interpolate({x}, size={like}.shape[2:], mode="nearest")'


MEANING = Meaning(
    _live,
    _source,
    "resize {operand} to the size of {like}: F.interpolate(..., size=<like>.shape[2:])",
    lambda use: None if use.axes is None else resample_like,
)
