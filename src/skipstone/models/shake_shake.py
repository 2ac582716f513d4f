"""Shake-Shake networks for CIFAR: Gastaldi 2017 (arXiv 1705.07485), two branches mixed at random in
training.

    stem conv-norm of 16, three stages of n blocks of widths w, 2w, 4w, strides 1, 2, 2, ReLU, pooling, linear; depth
    6n+2
"""

from collections.abc import Sequence

from torch import nn

from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.blocks.shake_shake import shake_block
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_plans, stage_sizes

_STEM = 16


def shake_shake(
    depth: int,
    width: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    blocks_per_stage: int | Sequence[int] | None = None,
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """Shake-Shake-depth-2x`width`d, depth 6n+2: images (N, in_channels, H, W) to logits (N, num_classes)."""
    check_options(in_channels=in_channels, width=width, dropout=0.0, init=init)
    sizes = stage_sizes("shake_shake", depth, blocks_per_stage, step=6, extra=2)
    widths = (width, 2 * width, 4 * width)
    network = StagedNetwork(
        named_sequence(conv=conv(in_channels, _STEM, dims=dims), norm=norm(_STEM, dims=dims)),
        [[shake_block(*shape, dims=dims) for shape in plan] for plan in stage_plans(widths, sizes, _STEM)],
        nn.ReLU(),
        features=widths[-1],
        num_classes=num_classes,
        num_skips=sum(sizes),
        dims=dims,
    )
    return initialised(network, init)
