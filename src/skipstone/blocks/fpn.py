"""Feature pyramid network: coarse maps, upsampled, are added to the finer ones beside them.

    p_i = smooth(l_i),   l_i = lateral_i(c_i) + up(l_{i+1}),   lateral a 1x1, smooth a 3x3 convolution, up nearest

Shapes: a list c_1 (fine) to c_n (coarse) of (N, C_i, H_i, ...) -> a list of (N, C, H_i, ...). Any sizes: the coarser
map is resized to exactly the finer one's.

Initialisation: He normal, fan-out; biases 0.

How ours differs: the paper upsamples by 2, which fits sizes that halve evenly; ours resizes to the finer map's size,
the same where both apply.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="fpn",
    title="Feature pyramid network",
    paper="Feature Pyramid Networks for Object Detection",
    year=2016,
    authors=(
        "Tsung-Yi Lin", "Piotr Dollár", "Ross Girshick", "Kaiming He", "Bharath Hariharan", "Serge Belongie",
    ),
    arxiv="1612.03144",
    section="3",
    equation="l_i = lateral_i(c_i) + up(l_{i+1}), p_i = smooth(l_i)",
    initialisation="He normal, fan-out; biases 0",
    shapes="any channels, by 1x1 convolutions; any sizes, by nearest resizing",
    fact="every map keeps its size, odd ones too, and equals the closed sum of its own and all coarser laterals",
    skips=(DeclaredSkip("projection", "add"),),
)  # fmt: skip


class FPN(nn.Module):
    """A list of maps with `in_channels`, fine to coarse -> maps of `channels` each, at the same sizes."""

    def __init__(self, in_channels: Sequence[int], channels: int = 256, *, dims: int = 2) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(conv(c, channels, 1, dims=dims, bias=True) for c in in_channels)
        self.smooth = nn.ModuleList(conv(channels, channels, 3, dims=dims, bias=True) for _ in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        merged: list[Tensor] = []
        for x, lateral in zip(reversed(maps), reversed(self.lateral), strict=True):
            y: Tensor = lateral(x)
            if merged:
                y = y + F.interpolate(merged[-1], y.shape[2:], mode="nearest")
            merged.append(y)
        return [smooth(y) for smooth, y in zip(self.smooth, reversed(merged), strict=True)]


class Pyramid(nn.Module):
    """Two strided stages with an FPN over them: x -> its maps, fine to coarse."""

    def __init__(self, in_channels: int, channels: int, *, dims: int = 2) -> None:
        super().__init__()
        self.fine = nn.Sequential(conv(in_channels, 2 * channels, dims=dims, bias=True), nn.ReLU())
        self.coarse = nn.Sequential(conv(2 * channels, 4 * channels, 3, 2, dims=dims, bias=True), nn.ReLU())
        self.fpn = FPN((2 * channels, 4 * channels), channels, dims=dims)

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.fine(x)
        maps: list[Tensor] = self.fpn([fine, self.coarse(fine)])
        return maps


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return Pyramid(3, 4, dims=dims), (2, 3, *[9] * dims)
