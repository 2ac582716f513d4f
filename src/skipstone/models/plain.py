"""Plain networks: the residual network of He 2015 (arXiv 1512.03385, section 4.2) with every shortcut left out.

    stem conv 3x3, three stages of n pairs of 3x3 convolutions, widths w, 2w, 4w, strides 1, 2, 2; depth 6n+2
    every convolution is followed by normalisation and ReLU

For w = 16 and 10 classes a network has 97,216n - 21,926 parameters and 14,155,776n - 1,916,288 multiply-adds on 32x32
images, as many as the residual network with shortcut A, and the same names: each one's weights load into the other.
"""

from collections.abc import Sequence

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.models.residual import after_addition


def plain(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | Sequence[int] | None = None,
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """The plain network of depth 6n+2: images (N, in_channels, H, W) to logits (N, num_classes).

    `blocks_per_stage` overrides n, `dropout` stands between the two convolutions of a block.
    """
    return after_addition(
        "plain", depth, num_classes=num_classes, in_channels=in_channels, width=width,
        blocks_per_stage=blocks_per_stage, shortcut="none", layout="after", block="basic", dropout=dropout, norm=norm,
        dims=dims, init=init,
    )  # fmt: skip
