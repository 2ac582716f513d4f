"""Dense networks for CIFAR: Huang 2016 (arXiv 1608.06993, section 3), which concatenate instead of adding.

    densenet{L}_{k}      L = 3n+4: three blocks of n layers BN-ReLU-3x3 of growth k, from 16 channels, no compression
    densenet_bc{L}_{k}   L = 6n+4: layers BN-ReLU-1x1-BN-ReLU-3x3, from 2k channels, transitions halve the channels
    dense{depth}         depth = 6n+2: the bottleneck form at the depths of `plain` and `resnet`

A block's channels grow as k0 + l·k. The depth of `dense` leaves out the two transitions, as that of `resnet` leaves out
its projections: dense20 of width 24 is densenet_bc22_12.
"""

from collections.abc import Sequence

from torch import nn

from skipstone.blocks.densenet import dense_block, transition
from skipstone.blocks.parts.layers import NormName, conv
from skipstone.models.options import OptionError, at_least
from skipstone.models.residual import last_activation
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_sizes


def _densenet(
    sizes: Sequence[int],
    growth: int,
    *,
    num_classes: int,
    in_channels: int,
    width: int,
    bottleneck: bool,
    compression: float,
    dropout: float,
    norm: NormName,
    dims: int,
    init: str,
) -> nn.Module:
    check_options(in_channels=in_channels, width=width, dropout=dropout, init=init)
    at_least("growth", growth, 1)
    if not 0 < compression <= 1:
        raise OptionError(f"compression={compression!r}: must be a number c with 0 < c <= 1")
    stages: list[list[nn.Module]] = []
    channels = width
    for index, size in enumerate(sizes):
        start: list[nn.Module] = []
        if index:
            start = [transition(channels, compression, norm_name=norm, dims=dims)]
            channels = int(channels * compression)
        block = dense_block(channels, growth, size, bottleneck=bottleneck, dropout=dropout, norm_name=norm, dims=dims)
        channels += growth * size
        stages.append([*start, *block])
    network = StagedNetwork(
        conv(in_channels, width, bias=norm == "none", dims=dims),
        stages,
        last_activation(channels, norm, dims),
        features=channels,
        num_classes=num_classes,
        num_skips=sum(sizes),
        dims=dims,
    )
    return initialised(network, init)


def densenet(
    depth: int,
    growth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | Sequence[int] | None = None,
    compression: float = 1.0,
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """DenseNet-depth-growth, depth 3n+4: images (N, in_channels, H, W) to logits (N, num_classes).

    `width` is the channels of the stem, `blocks_per_stage` overrides n, `dropout` follows every 3x3 convolution of a
    layer. `connected=False` gives the plain twin: the same layers' shapes without concatenation.
    """
    sizes = stage_sizes("densenet", depth, blocks_per_stage, step=3, extra=4)
    return _densenet(
        sizes, growth, num_classes=num_classes, in_channels=in_channels, width=width, bottleneck=False,
        compression=compression, dropout=dropout, norm=norm, dims=dims, init=init,
    )  # fmt: skip


def densenet_bc(
    depth: int,
    growth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int | None = None,
    blocks_per_stage: int | Sequence[int] | None = None,
    compression: float = 0.5,
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """DenseNet-BC-depth-growth, depth 6n+4; `width`, the channels of the stem, is 2·growth unless given."""
    sizes = stage_sizes("densenet_bc", depth, blocks_per_stage, step=6, extra=4)
    return _densenet(
        sizes, growth, num_classes=num_classes, in_channels=in_channels, width=2 * growth if width is None else width,
        bottleneck=True, compression=compression, dropout=dropout, norm=norm, dims=dims, init=init,
    )  # fmt: skip


def dense(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    growth: int | None = None,
    blocks_per_stage: int | Sequence[int] | None = None,
    compression: float = 0.5,
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """The concatenating network beside `plain` and `resnet` of one depth 6n+2; growth is width/2 by default."""
    sizes = stage_sizes("dense", depth, blocks_per_stage, step=6, extra=2)
    at_least("width", width, 2 if growth is None else 1)
    growth = width // 2 if growth is None else growth
    return _densenet(
        sizes, growth, num_classes=num_classes, in_channels=in_channels, width=width,
        bottleneck=True, compression=compression, dropout=dropout, norm=norm, dims=dims, init=init,
    )  # fmt: skip
