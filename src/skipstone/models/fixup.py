"""Fixup networks for CIFAR: Zhang 2019 (arXiv 1901.09321), residual networks without normalisation.

The residual network of He 2015 with shortcut A; in place of each batch norm a scalar bias before and after, and one
scale a block. The classifier and the last convolution of every block start at 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipstone.blocks.fixup import fixup_block
from skipstone.blocks.parts.layers import conv
from skipstone.blocks.parts.residual import named_sequence
from skipstone.models.stages import StagedNetwork, check_options, stage_plans, stage_sizes


class ScalarBias(nn.Module):
    """x + b with one learned number b, 0 at the start, for tensors of any shape."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias


def fixup(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | Sequence[int] | None = None,
    dims: int = 2,
) -> nn.Module:
    """The Fixup network of depth 6n+2: images (N, in_channels, H, W) to logits (N, num_classes), all 0 at the start."""
    check_options(in_channels=in_channels, width=width, dropout=0.0)
    sizes = stage_sizes("fixup", depth, blocks_per_stage, step=6, extra=2)
    classifier = nn.Linear(4 * width, num_classes)
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    return StagedNetwork(
        named_sequence(conv=conv(in_channels, width, dims=dims), bias=ScalarBias(), relu=nn.ReLU()),
        [
            [fixup_block(*shape, num_blocks=sum(sizes), dims=dims) for shape in plan]
            for plan in stage_plans((width, 2 * width, 4 * width), sizes, width)
        ],
        None,
        features=4 * width,
        num_classes=num_classes,
        num_skips=sum(sizes),
        dims=dims,
        classifier=nn.Sequential(ScalarBias(), classifier),
    )
