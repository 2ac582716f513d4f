"""Plain networks: the residual network of He 2015 (arXiv 1512.03385, section 4.2) with every shortcut left out.

    stem conv 3x3, three stages of n pairs of 3x3 convolutions, widths w, 2w, 4w, strides 1, 2, 2; depth 6n+2
    every convolution is followed by normalisation and ReLU

For w = 16 and 10 classes a network has 97,216n - 21,926 parameters and 14,155,776n - 1,916,288 multiply-adds on 32x32
images, as many as the residual network with shortcut A.
"""

from torch import Tensor, nn

from skipstone.models.depth import num_blocks
from skipstone.models.layers import ThreeStages, conv3x3, initialise, make_norm, stage_plan
from skipstone.models.options import at_least, probability


class PlainBlock(nn.Module):
    """Two 3x3 convolutions with normalisation and ReLU each: (N, in_channels, H, W) to (N, out_channels, H/s, W/s)."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, *, norm: str = "batch", dropout: float = 0.0
    ) -> None:
        super().__init__()
        bias = norm == "none"
        self.conv1 = conv3x3(in_channels, out_channels, stride=stride, bias=bias)
        self.norm1 = make_norm(norm, out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv3x3(out_channels, out_channels, bias=bias)
        self.norm2 = make_norm(norm, out_channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.conv1(x)))
        y: Tensor = self.relu(self.norm2(self.conv2(self.dropout(x))))
        return y


def plain(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | None = None,
    dropout: float = 0.0,
    norm: str = "batch",
    init: str = "he",
) -> nn.Module:
    """The plain network of depth 6n+2; `blocks_per_stage` overrides n, `dropout` stands between two convolutions."""
    n = num_blocks("plain", depth, step=6, extra=2) if blocks_per_stage is None else blocks_per_stage
    at_least("blocks_per_stage", n, 1)
    at_least("width", width, 1)
    probability("dropout", dropout)
    stages = [
        [PlainBlock(a, b, stride, norm=norm, dropout=dropout) for a, b, stride in plan]
        for plan in stage_plan((width, 2 * width, 4 * width), n, width)
    ]
    stem = nn.Sequential(conv3x3(in_channels, width, bias=norm == "none"), make_norm(norm, width), nn.ReLU())
    network = ThreeStages(stem, stages, nn.Identity(), features=4 * width, num_classes=num_classes, num_skips=0)
    initialise(network, init)
    return network
