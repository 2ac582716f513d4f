"""PyramidNet for CIFAR: Han 2016 (arXiv 1610.02915), pre-activation blocks that widen by the same amount each.

    stem conv-norm, N = 3n basic blocks of widths 16 + alpha k / N, strides 2 where the second and third stage begin,
    norm-ReLU, pooling, linear; depth 6n+2

The widths are rounded to the nearest integer, which gives the published count for depth 110 and alpha 48, 1,772,706
parameters; rounding down, as the block's page says it, gives 1,739,730.
"""

from collections.abc import Iterator, Sequence

from torch import nn

from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.blocks.pyramidnet import pyramid_block
from skipstone.models.options import at_least
from skipstone.models.residual import last_activation
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_sizes


def _stages(sizes: Sequence[int], alpha: int, width: int, dims: int) -> Iterator[list[nn.Module]]:
    total = sum(sizes)
    channels, done = width, 0
    for stage, size in enumerate(sizes):
        blocks: list[nn.Module] = []
        for index in range(size):
            done += 1
            wider = width + (2 * alpha * done + total) // (2 * total)
            blocks.append(pyramid_block(channels, wider, 2 if stage and not index else 1, dims=dims))
            channels = wider
        yield blocks


def pyramidnet(
    depth: int,
    alpha: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | Sequence[int] | None = None,
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """PyramidNet of depth 6n+2, widening by `alpha`: images (N, in_channels, H, W) to logits (N, num_classes)."""
    check_options(in_channels=in_channels, width=width, dropout=0.0, init=init)
    at_least("alpha", alpha, 0)
    sizes = stage_sizes("pyramidnet", depth, blocks_per_stage, step=6, extra=2)
    network = StagedNetwork(
        named_sequence(conv=conv(in_channels, width, dims=dims), norm=norm(width, dims=dims)),
        list(_stages(sizes, alpha, width, dims)),
        last_activation(width + alpha, "batch", dims),
        features=width + alpha,
        num_classes=num_classes,
        num_skips=sum(sizes),
        dims=dims,
    )
    return initialised(network, init)
