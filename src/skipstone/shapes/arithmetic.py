"""What size comes out: torch's shape rules as exact integer formulas, one axis at a time.

Sizes, kernels, strides, padding and dilation are whole numbers of positions on one axis. Each function raises
`SizeError` where torch refuses the operation. The tests hold every formula against torch itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from skipstone.core.cost import Cost
from skipstone.core.errors import SkipstoneError


class SizeError(SkipstoneError, ValueError):
    """An operation that torch refuses at this size. The text names the size and what would be right."""


def _positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise SizeError(f"{name} must be at least 1, not {value}")


def extent(kernel: int, dilation: int = 1) -> int:
    """How many positions a dilated kernel covers: d(k-1) + 1."""
    return dilation * (kernel - 1) + 1


def conv_size(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Convolution, unfold: floor((H + 2p - d(k-1) - 1) / s) + 1."""
    _positive(kernel=kernel, stride=stride, dilation=dilation)
    covered = extent(kernel, dilation)
    if size + 2 * padding < covered:
        raise SizeError(f"a kernel that covers {covered} does not fit {size} + 2*{padding} = {size + 2 * padding}")
    return (size + 2 * padding - covered) // stride + 1


def pool_size(
    size: int, kernel: int, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Pooling: the convolution's formula, or with `ceil_mode` rounded up unless the last window would start in the
    padding on the right. Torch wants padding of at most half the kernel."""
    stride = kernel if stride is None else stride
    _positive(kernel=kernel, stride=stride, dilation=dilation)
    covered = extent(kernel, dilation)
    if not 0 <= padding <= kernel // 2:
        raise SizeError(f"pooling takes padding of 0 to half the kernel, {kernel // 2}; not {padding}")
    room = size + 2 * padding - covered
    out = (room + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (out - 1) * stride >= size + padding:
        out -= 1
    if out < 1:
        raise SizeError(f"a pooling window that covers {covered} does not fit {size} + 2*{padding}")
    return out


def conv_transpose_size(
    size: int, kernel: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Transposed convolution: (H-1)s - 2p + d(k-1) + op + 1, with op < max(s, d)."""
    _positive(kernel=kernel, stride=stride, dilation=dilation)
    if output_padding < 0 or output_padding >= max(stride, dilation):
        raise SizeError(
            f"output_padding must be under max(stride, dilation) = {max(stride, dilation)}; not {output_padding}"
        )
    out = (size - 1) * stride - 2 * padding + extent(kernel, dilation) + output_padding
    if out < 1:
        raise SizeError(f"a transposed convolution of {size} with padding {padding} leaves {out} positions")
    return out


def pad_size(size: int, before: int, after: int, mode: str = "constant") -> int:
    """`F.pad`: H + before + after; negative amounts crop. Reflection needs padding < H, circular padding <= H."""
    limit = {"reflect": size - 1, "circular": size}.get(mode)
    if limit is not None and max(before, after) > limit:
        raise SizeError(f"{mode} padding of {size} positions can add {limit} on a side, not {max(before, after)}")
    kept, out = size + min(before, 0) + min(after, 0), size + before + after
    if kept < 0 or out < 1:
        raise SizeError(f"cropping {max(-before, 0)} and {max(-after, 0)} from {size} leaves nothing")
    return out


def unshuffle_size(channels: int, sizes: Iterable[int], factor: int) -> tuple[int, ...]:
    """`pixel_unshuffle` over any number of axes: (C * r^n, H/r, ...)."""
    sizes = tuple(sizes)
    if odd := [size for size in sizes if size % factor]:
        raise SizeError(f"pixel unshuffle by {factor} wants sizes divisible by it, not {odd[0]}")
    return (int(channels * factor ** len(sizes)), *(size // factor for size in sizes))


@dataclass(frozen=True, slots=True)
class FloorMap:
    """The size map x -> floor((x + shift) / stride), which floor-rounding layers are and whose chains are again one.

    Two such maps agree at every size just when they are equal, so a shortcut that has its branch's map fits the
    branch at every size and not at the example's alone.

    >>> FloorMap.conv(3, 2, 1).then(FloorMap.conv(3, 2, 1)) == FloorMap.conv(1, 4)
    True
    """

    stride: int = 1
    shift: int = 0

    def __call__(self, size: int) -> int:
        return (size + self.shift) // self.stride

    def then(self, later: "FloorMap") -> "FloorMap":
        return FloorMap(self.stride * later.stride, self.shift + self.stride * later.shift)

    @classmethod
    def conv(cls, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "FloorMap":
        return cls(stride, 2 * padding - extent(kernel, dilation) + stride)

    @classmethod
    def pool(
        cls, kernel: int, stride: int | None = None, padding: int = 0, dilation: int = 1, ceil_mode: bool = False
    ) -> "FloorMap | None":
        """None where `ceil_mode` may drop a window that starts in the right padding: no single floor then."""
        stride = kernel if stride is None else stride
        floored = cls.conv(kernel, stride, padding, dilation)
        if not ceil_mode:
            return floored
        if padding + stride > extent(kernel, dilation):
            return None
        return cls(stride, floored.shift + stride - 1)

    def __str__(self) -> str:
        inner = f"h {'+' if self.shift > 0 else '-'} {abs(self.shift)}" if self.shift else "h"
        if self.stride == 1:
            return inner
        if self.shift == self.stride - 1:
            return f"ceil(h / {self.stride})"
        return f"floor(({inner}) / {self.stride})" if self.shift else f"floor(h / {self.stride})"


def conv_cost(
    in_channels: int,
    out_channels: int,
    kernel: Iterable[int],
    out_sizes: Iterable[int],
    groups: int = 1,
    bias: bool = False,
) -> Cost:
    """Of a convolution (a linear layer: no kernel, no sizes) on one example: weights, MACs, float32 output bytes.

    >>> conv_cost(16, 64, (1, 1), (4, 4))
    Cost(num_parameters=1024, macs=16384, activation_bytes=4096)
    """
    _positive(groups=groups)
    if in_channels % groups or out_channels % groups:
        raise SizeError(f"{groups} groups must divide {in_channels} input and {out_channels} output channels")
    weights = in_channels // groups * out_channels * prod(kernel)
    positions = prod(out_sizes)
    return Cost(weights + (out_channels if bias else 0), weights * positions, 4 * out_channels * positions)
