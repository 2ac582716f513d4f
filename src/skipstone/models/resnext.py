"""ResNeXt for CIFAR: Xie 2016 (arXiv 1611.05431, section 5.3), bottlenecks with grouped 3x3 convolutions.

Stem conv-norm-ReLU of 64, three stages of n bottlenecks of 256, 512, 1024, shortcut B; depth 9n+2.
"""

from collections.abc import Sequence

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.blocks.parts.resnet import ShortcutName, bottleneck_block
from skipstone.models.options import at_least, one_of
from skipstone.models.residual import SHORTCUTS
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_plans, stage_sizes, stem


def resnext(
    depth: int,
    groups: int,
    width_per_group: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    blocks_per_stage: int | Sequence[int] | None = None,
    shortcut: ShortcutName = "B",
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """ResNeXt of depth 9n+2, `groups`x`width_per_group`d: images (N, in_channels, H, W) to logits (N, num_classes)."""
    check_options(in_channels=in_channels, width=width, dropout=0.0, init=init)
    at_least("groups", groups, 1)
    at_least("width_per_group", width_per_group, 1)
    one_of("shortcut", shortcut, SHORTCUTS)
    sizes = stage_sizes("resnext", depth, blocks_per_stage, step=9, extra=2)
    widths = (4 * width, 8 * width, 16 * width)

    def make(stage: int, before: int, after: int, stride: int) -> nn.Module:
        inner = groups * width_per_group * 2**stage
        return bottleneck_block(
            before, after, stride, width=inner, groups=groups, shortcut_name=shortcut, norm_name=norm, dims=dims
        )

    network = StagedNetwork(
        stem(in_channels, width, norm, dims),
        [[make(i, *shape) for shape in plan] for i, plan in enumerate(stage_plans(widths, sizes, width))],
        None,
        features=widths[-1],
        num_classes=num_classes,
        num_skips=0 if shortcut == "none" else sum(sizes),
        dims=dims,
    )
    return initialised(network, init)
