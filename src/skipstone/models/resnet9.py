"""ResNet-9: Page 2018 ("How to train your ResNet"), the network of the CIFAR-10 speed records of that year.

    stem    3x3, w channels
    stages  3x3 to 2w, pool, a residual unit; 3x3 to 4w, pool; 3x3 to 8w, pool, a residual unit
    end     the largest value of each map, a linear layer without bias, times 0.125

Every 3x3 is followed by normalisation and ReLU; a unit is x + f(f(x)), f a 3x3 with both, so that the sum itself is not
activated. At w = 64 and 10 classes it has 6,573,120 parameters. With `stem="whitening"` (the author's later advice) the
images go through fixed filters that whiten 3x3 patches, and a 1x1 convolution to w channels; with
`stem="signed-whitening"` through filters that whiten 2x2 patches and their negatives, 8 channels for each of the
images', and a ReLU, without normalisation or weights (Jordan 2024, arXiv 2404.00498). With `pool="first"` the
maximum is taken before normalisation and ReLU, which then have a quarter to do (also Jordan's).
"""

from typing import Literal

from torch import Tensor, nn

from skipstone.blocks.parts.layers import NormName, conv, max_pool
from skipstone.blocks.parts.layers import norm as make_norm
from skipstone.blocks.parts.residual import Residual, named_sequence
from skipstone.blocks.parts.whitening import Whitening
from skipstone.models.options import one_of
from skipstone.models.stages import StagedNetwork, check_options, initialised

StemName = Literal["conv", "whitening", "signed-whitening"]
STEMS = ("conv", "whitening", "signed-whitening")
PoolPlace = Literal["last", "first"]
PLACES = ("last", "first")
_LOGIT_SCALE = 0.125
_ADAPTIVE_MAX_POOL = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}


class ScaledLinear(nn.Linear):
    """A linear layer without bias whose output is multiplied by a constant, which bounds the first logits."""

    def __init__(self, in_features: int, out_features: int, scale: float) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.scale = scale

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * self.scale


def resnet9(
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 64,
    stem: StemName = "conv",
    pool: PoolPlace = "last",
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """ResNet-9 of a `width`: images (N, in_channels, H, W) to logits (N, num_classes).

    `stem` is "conv" as published, or "whitening" or "signed-whitening" (2-D alone); `pool` stands "last" in its layer
    as published, or "first", behind the convolution; `dropout` stands between a unit's two convolutions.
    """
    check_options(in_channels=in_channels, width=width, dropout=dropout, init=init)
    one_of("stem", stem, STEMS)
    one_of("pool", pool, PLACES)

    def layer(before: int, after: int, *, kernel: int = 3, halved: bool = False) -> nn.Sequential:
        pooling = max_pool(round_up=True, dims=dims) if halved else None
        return named_sequence(
            conv=conv(before, after, kernel, bias=norm == "none", dims=dims),
            pool_first=pooling if pool == "first" else None,
            norm=make_norm(after, norm, dims=dims),
            relu=nn.ReLU(),
            pool=pooling if pool == "last" else None,
        )

    def unit(channels: int) -> nn.Module:
        drop = nn.Dropout(dropout) if dropout else None
        return Residual(named_sequence(first=layer(channels, channels), drop=drop, last=layer(channels, channels)))

    start: nn.Module = layer(in_channels, width)
    first = width
    if stem == "signed-whitening":
        start = named_sequence(whitening=Whitening(in_channels, kernel=2, signed=True, dims=dims), relu=nn.ReLU())
        first = 8 * in_channels
    elif stem == "whitening":
        whitening = Whitening(in_channels, dims=dims)
        start = named_sequence(whitening=whitening, mix=layer(9 * in_channels, width, kernel=1))
    network = StagedNetwork(
        start,
        [
            [layer(first, 2 * width, halved=True), unit(2 * width)],
            [layer(2 * width, 4 * width, halved=True)],
            [layer(4 * width, 8 * width, halved=True), unit(8 * width)],
        ],
        _ADAPTIVE_MAX_POOL[dims](1),  # the average behind it is that of one value
        features=8 * width,
        num_classes=num_classes,
        num_skips=2,
        classifier=ScaledLinear(8 * width, num_classes, _LOGIT_SCALE),
        dims=dims,
    )
    return initialised(network, init)
