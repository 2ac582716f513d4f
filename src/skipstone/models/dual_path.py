"""Dual path networks for ImageNet shapes: Chen 2017 (arXiv 1707.01629), residual sums and dense growth in one.

Stem, four stages whose first block projects, norm-ReLU, pooling, linear. `dpn68` has a 3x3 stem and a quarter of the
others' residual channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from skipstone.blocks.dual_path import dual_path_block
from skipstone.blocks.parts.layers import conv, max_pool, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.models.residual import last_activation
from skipstone.models.stages import StagedNetwork, check_options, initialised


@dataclass(frozen=True, slots=True)
class _Size:
    stem: int
    stem_kernel: int
    inner: int
    groups: int
    residual: int
    blocks: tuple[int, ...]
    growth: tuple[int, ...]


_SIZES: Mapping[int, _Size] = {
    68: _Size(10, 3, 128, 32, 64, (3, 4, 12, 3), (16, 32, 32, 64)),
    92: _Size(64, 7, 96, 32, 256, (3, 4, 20, 3), (16, 32, 24, 128)),
    98: _Size(96, 7, 160, 40, 256, (3, 6, 20, 3), (16, 32, 32, 128)),
}


def dual_path(depth: int, *, num_classes: int = 1000, in_channels: int = 3, init: str = "he") -> nn.Module:
    """DPN-68, -92 or -98: images (N, in_channels, H, W) to logits (N, num_classes)."""
    size = _SIZES[depth]
    check_options(in_channels=in_channels, width=size.stem, dropout=0.0, init=init)
    stages: list[list[nn.Module]] = []
    channels = size.stem
    for stage, (num_blocks, growth) in enumerate(zip(size.blocks, size.growth, strict=True)):
        residual, blocks = size.residual * 2**stage, []
        for index in range(num_blocks):
            blocks.append(
                dual_path_block(
                    channels,
                    residual,
                    growth,
                    width=size.inner * 2**stage,
                    groups=size.groups,
                    stride=2 if stage and not index else 1,
                    project=not index,
                )
            )
            channels = residual + 3 * growth if not index else channels + growth
        stages.append(list[nn.Module](blocks))
    network = StagedNetwork(
        named_sequence(
            conv=conv(in_channels, size.stem, size.stem_kernel, 2),
            norm=norm(size.stem),
            relu=nn.ReLU(),
            pool=max_pool(3, 2, padding=1),
        ),
        stages,
        last_activation(channels, "batch"),
        features=channels,
        num_classes=num_classes,
        num_skips=sum(size.blocks),
    )
    return initialised(network, init)
