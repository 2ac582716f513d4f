"""The network that the tutorial describes but never finishes: initial layers, residual blocks, max pooling, dropout.

Each stage widens by a 3x3 convolution outside any skip, so that every `ResidualBlock` adds equal channels; max pooling
stands between stages. Global average pooling before the linear layer makes it fit any image of at least 2^(stages - 1)
pixels a side. A max pooling after the last stage too would make the features so large that training at the usual rate
of 0.1 diverges.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipstone.models.options import OptionError, at_least, probability
from skipstone.models.tutorials.residual_block import ResidualBlock


def _widen(in_channels: int, out_channels: int) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU()]


class FinishedCNN(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes); one stage of blocks for each of `widths`."""

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_channels: int = 3,
        widths: Sequence[int] = (32, 64, 128),
        blocks_per_stage: int = 2,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if not widths:
            raise OptionError("widths=(): must name the channels of at least one stage")
        for width in widths:
            at_least("widths", width, 1)
        at_least("blocks_per_stage", blocks_per_stage, 0)
        probability("dropout", dropout)
        layers: list[nn.Module] = []
        for stage, (before, width) in enumerate(zip([in_channels, *widths], widths, strict=False)):
            pool = [nn.MaxPool2d(2)] if stage else []
            blocks = [ResidualBlock(width, width) for _ in range(blocks_per_stage)]
            layers += [*pool, *_widen(before, width), *blocks]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(widths[-1], num_classes)
        self.num_skips = len(widths) * blocks_per_stage

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.mean(self.features(x), dim=(2, 3))
        logits: Tensor = self.fc(self.dropout(pooled))
        return logits
