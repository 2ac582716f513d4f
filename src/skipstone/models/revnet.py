"""RevNets for CIFAR: Gomez 2017 (arXiv 1707.04585), residual networks whose activations are computed back.

    stem conv-norm-ReLU, three stages of n units, norm-ReLU, pooling, linear; a unit has two branches of two
    convolutions, so the depth is 12n+2

A unit splits its channels in two halves, y1 = x1 + F(x2), y2 = x2 + G(y1). The first unit of the second and third stage
changes the shape and can't be inverted: its shortcuts pool and append zero channels.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.layers import norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.blocks.preactivation import basic_branch
from skipstone.blocks.pyramidnet import pyramid_shortcut
from skipstone.blocks.revnet import ReversibleSequence, reversible_block
from skipstone.models.depth import num_blocks
from skipstone.models.options import OptionError, at_least
from skipstone.models.residual import last_activation
from skipstone.models.stages import StagedNetwork, initialised, stem

_WIDTHS = (32, 64, 128)
# The paper narrows the last stage of its smaller network.
_WIDTHS_AT = {38: (32, 64, 112)}


class WideningUnit(nn.Module):
    """y1 = S(x1) + F(x2), y2 = S(x2) + G(y1), a unit that halves: (N, C_in, H, W) to (N, C_out, H/2, W/2)."""

    def __init__(self, in_channels: int, out_channels: int, dims: int = 2) -> None:
        super().__init__()
        before, after = in_channels // 2, out_channels // 2
        self.branch_f = _preactivated(before, after, 2, dims)
        self.branch_g = _preactivated(after, after, 1, dims)
        self.shortcut = pyramid_shortcut(before, after, 2, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        y1 = self.shortcut(x1) + self.branch_f(x2)
        y2 = self.shortcut(x2) + self.branch_g(y1)
        return torch.cat((y1, y2), dim=1)


def _preactivated(in_channels: int, out_channels: int, stride: int, dims: int) -> nn.Sequential:
    return named_sequence(
        norm1=norm(in_channels, dims=dims),
        relu1=nn.ReLU(),
        convs=basic_branch(in_channels, out_channels, stride, dims=dims),
    )


def revnet(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    widths: Sequence[int] | None = None,
    free_activations: bool = True,
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """The RevNet of depth 12n+2: images (N, in_channels, H, W) to logits (N, num_classes).

    `widths` are the three stages' channels, even and growing: 32, 64, 128 (112 at depth 38). With `free_activations`
    training stores one activation a stage instead of one a layer, and computes the others back.
    """
    at_least("in_channels", in_channels, 1)
    sizes = [num_blocks("revnet", depth, step=12, extra=2)] * 3
    widths = _WIDTHS_AT.get(depth, _WIDTHS) if widths is None else tuple(widths)
    if len(widths) != 3 or any(w % 2 for w in widths) or sorted(widths) != list(widths) or widths[0] < 2:
        raise OptionError(f"widths={widths!r}: must be three even numbers that do not shrink, such as {_WIDTHS}")
    stages: list[list[nn.Module]] = []
    for index, (size, width) in enumerate(zip(sizes, widths, strict=True)):
        start = [WideningUnit(widths[index - 1], width, dims)] if index else []
        units = [reversible_block(width, dims=dims) for _ in range(size - len(start))]
        stages.append([*start, ReversibleSequence(units, free_activations=free_activations)] if units else [*start])
    network = StagedNetwork(
        stem(in_channels, widths[0], "batch", dims),
        stages,
        last_activation(widths[-1], "batch", dims),
        features=widths[-1],
        num_classes=num_classes,
        num_skips=2 * sum(sizes),
        dims=dims,
    )
    return initialised(network, init)
