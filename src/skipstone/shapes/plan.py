"""A plan: the steps that give a tensor of one shape another, as immutable data that can be costed and printed.

A shape is `(channels, *sizes)` without the batch axis: one to three spatial sizes, or none for linear features.
"""

from dataclasses import dataclass, replace
from functools import reduce
from math import prod
from operator import add
from typing import Literal

from skipstone.core.cost import Cost
from skipstone.shapes.arithmetic import (
    FloorMap,
    SizeError,
    conv_cost,
    conv_size,
    conv_transpose_size,
    pad_size,
    pool_size,
    unshuffle_size,
)

Shape = tuple[int, ...]
Operation = Literal[
    "conv", "conv_transpose", "avg_pool", "adaptive_avg_pool", "max_pool", "subsample", "zero_channels", "pad",
    "interpolate", "unshuffle",
]  # fmt: skip

# The catalogue's design that made the plan known.
DESIGN_OF = {
    "option_a": "resnet_a", "option_a_both": "resnet_a", "zero_channels": "resnet_a", "zero_channels_both": "resnet_a",
    "projection": "resnet_b", "avg_pool_projection": "resnet_d", "avg_pool_zero_channels": "pyramidnet",
    "subsample": "resnet_a", "crop": "unet", "pad": "unet",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """Geometry of a sliding window on one axis."""

    kernel: int = 1
    stride: int = 1
    padding: int = 0
    output_padding: int = 0
    ceil_mode: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a plan, from shape `source` to shape `target`.

    `windows` holds one window a spatial axis (conv, pooling, subsampling: its stride); `amounts` (before, after) an
    axis for `pad`, negative to crop, and the zero channels before and after for `zero_channels`; `factor` the block of
    `unshuffle`. Making a step whose geometry does not give `target` raises `SizeError`.
    """

    operation: Operation
    source: Shape
    target: Shape
    windows: tuple[Window, ...] = ()
    amounts: tuple[tuple[int, int], ...] = ()
    factor: int = 1

    def __post_init__(self) -> None:
        if (got := self._result()) != self.target:
            raise SizeError(f"{self.operation} gives {got} where {self.target} is wanted")

    def _result(self) -> Shape:
        channels, *sizes = self.source
        axes = list(zip(sizes, self.windows, strict=False))
        match self.operation:
            case "conv":
                return self.target[0], *(conv_size(h, w.kernel, w.stride, w.padding) for h, w in axes)
            case "conv_transpose":
                made = (conv_transpose_size(h, w.kernel, w.stride, w.padding, w.output_padding) for h, w in axes)
                return self.target[0], *made
            case "avg_pool" | "max_pool":
                pooled = (pool_size(h, w.kernel, w.stride, w.padding, ceil_mode=w.ceil_mode) for h, w in axes)
                return channels, *pooled
            case "subsample":
                return channels, *(conv_size(h, 1, w.stride) for h, w in axes)
            case "pad":
                return channels, *(pad_size(h, *a) for h, a in zip(sizes, self.amounts, strict=True))
            case "zero_channels":
                before, after = self.amounts[0]
                return channels + before + after, *sizes
            case "unshuffle":
                return unshuffle_size(channels, sizes, self.factor)
            case "interpolate" | "adaptive_avg_pool":
                return channels, *self.target[1:]

    @property
    def cost(self) -> Cost:
        channels = self.source[0]
        if self.operation == "conv":
            return conv_cost(channels, self.target[0], (w.kernel for w in self.windows), self.target[1:])
        if self.operation == "conv_transpose":  # each input position is multiplied with the whole kernel
            weights = conv_cost(channels, self.target[0], (w.kernel for w in self.windows), self.source[1:])
            return replace(weights, activation_bytes=4 * prod(self.target))
        return Cost(activation_bytes=4 * prod(self.target))

    @property
    def size_maps(self) -> tuple[FloorMap | None, ...] | None:
        """The size map an axis, None for an axis where it is no floor map; None where it fits this one size only."""
        if self.operation in ("conv", "subsample"):
            return tuple(FloorMap.conv(w.kernel, w.stride, w.padding) for w in self.windows)
        if self.operation in ("avg_pool", "max_pool"):
            return tuple(FloorMap.pool(w.kernel, w.stride, w.padding, ceil_mode=w.ceil_mode) for w in self.windows)
        if self.operation == "zero_channels":
            return tuple(FloorMap() for _ in self.source[1:])
        if self.operation == "pad":
            return tuple(FloorMap(1, before + after) for before, after in self.amounts)
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """A way from one shape to another: the steps in order, none for the identity.

    `follow` holds the branch's own size maps where those were given to the planner; `every_size` says whether the plan
    has them too and so fits the branch at every size.
    """

    name: str
    source: Shape
    target: Shape
    steps: tuple[Step, ...] = ()
    every_size: bool = False
    follow: tuple[FloorMap | None, ...] = ()

    def __post_init__(self) -> None:
        shape = self.source
        for step in self.steps:
            if step.source != shape:
                raise SizeError(f"{step.operation} takes {step.source} but is given {shape}")
            shape = step.target
        if shape != self.target:
            raise SizeError(f"plan {self.name} gives {shape} where {self.target} is wanted")

    @property
    def cost(self) -> Cost:
        return reduce(add, (step.cost for step in self.steps), Cost())

    @property
    def design(self) -> str:
        """Slug of the catalogue's design that does this, or ''."""
        return DESIGN_OF.get(self.name, "")

    @property
    def arguments(self) -> dict[str, object]:
        """What `skipstone.blocks.shortcut_between` needs to make this very plan again; plain values."""
        made: dict[str, object] = {"source": self.source, "target": self.target, "name": self.name}
        if self.follow:
            made["follow"] = tuple((m.stride, m.shift) if m is not None else None for m in self.follow)
        return made

    def __str__(self) -> str:
        return f"{self.name}: {self.source} -> {self.target}, {self.cost}"
