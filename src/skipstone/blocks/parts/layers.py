"""Convolution, normalisation and pooling over one, two or three spatial axes, initialised as the papers say.

Shapes: N batch, C channels, then `dims` spatial axes; channels stand first throughout.
"""

from math import gcd
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from skipstone.core.errors import UnknownNameError
from skipstone.shapes.arithmetic import SizeError

NormName = Literal["batch", "group", "none"]
Norms = ("batch", "group", "none")

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_CONV_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_BATCH_NORM = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_AVG_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
_MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
_GLOBAL_POOL = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


def check_dims(dims: int) -> int:
    if dims not in _CONV:
        raise SizeError(f"blocks work over 1, 2 or 3 spatial axes, not {dims}")
    return dims


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    dims: int = 2,
    groups: int = 1,
    bias: bool = False,
    padding: int | None = None,
) -> nn.Module:
    """A convolution, He-initialised (normal, fan-out, arXiv:1502.01852), biases at 0. Without `padding` an odd kernel
    takes (k-1)/2 a side, so that the size becomes ceil(H / stride)."""
    padding = (kernel - 1) // 2 if padding is None else padding
    layer = _CONV[check_dims(dims)](in_channels, out_channels, kernel, stride, padding, groups=groups, bias=bias)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def conv_transpose(
    in_channels: int, out_channels: int, kernel: int = 2, stride: int = 2, *, dims: int = 2
) -> nn.Module:
    """A transposed convolution with bias, He-initialised."""
    layer = _CONV_TRANSPOSE[check_dims(dims)](in_channels, out_channels, kernel, stride)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def norm(channels: int, name: NormName = "batch", *, dims: int = 2) -> nn.Module:
    """Batch norm, group norm (the most groups up to 8 that divide the channels), or nothing."""
    match name:
        case "batch":
            return _BATCH_NORM[check_dims(dims)](channels)
        case "group":
            return nn.GroupNorm(gcd(channels, 8), channels)
        case "none":
            return nn.Identity()
        case unknown:
            raise UnknownNameError("normalisation", unknown, Norms)


def avg_pool(kernel: int = 2, stride: int | None = None, *, round_up: bool = True, dims: int = 2) -> nn.Module:
    """Average pooling that counts real positions only and rounds odd sizes up, to ceil(H / stride), as a strided
    convolution does; with `round_up=False` it drops the last position."""
    layer = _AVG_POOL[check_dims(dims)]
    made: nn.Module = layer(kernel, stride, ceil_mode=round_up, count_include_pad=not round_up)
    return made


def max_pool(
    kernel: int = 2, stride: int | None = None, *, padding: int = 0, round_up: bool = False, dims: int = 2
) -> nn.Module:
    """Max pooling; odd sizes lose their last position, unless they are rounded up."""
    return _MAX_POOL[check_dims(dims)](kernel, stride, padding, ceil_mode=round_up)


def global_avg_pool(dims: int = 2) -> nn.Module:
    """(N, C, ...) -> (N, C, 1, ...)."""
    return _GLOBAL_POOL[check_dims(dims)](1)


def per_channel(vector: Tensor, like: Tensor) -> Tensor:
    """View a (C,) vector so that it multiplies (N, C, ...) channel by channel."""
    return vector.view(-1, *[1] * (like.dim() - 2))


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels at each position: (N, C, ...) -> (N, C, ...)."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(x.movedim(1, -1))
        return y.movedim(-1, 1)


class Upsample(nn.Module):
    """Nearest-neighbour interpolation by a whole factor."""

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=self.factor, mode="nearest")

    def extra_repr(self) -> str:
        return f"factor={self.factor}"
