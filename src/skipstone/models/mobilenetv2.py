"""MobileNetV2 for ImageNet shapes: Sandler 2018 (arXiv 1801.04381, table 2)."""

from torch import nn

from skipstone.blocks.mobilenetv2 import InvertedResidual
from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.models.options import probability
from skipstone.models.stages import StagedNetwork, check_options, initialised

# expansion, channels, blocks, stride of the first
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM, _HEAD = 32, 1280


def _conv_norm_relu6(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    return named_sequence(
        conv=conv(in_channels, out_channels, kernel, stride), norm=norm(out_channels), relu=nn.ReLU6()
    )


def mobilenetv2(*, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.2, init: str = "he") -> nn.Module:
    """MobileNetV2 at width 1: images (N, in_channels, H, W) to logits (N, num_classes)."""
    check_options(in_channels=in_channels, width=_STEM, dropout=dropout, init=init)
    probability("dropout", dropout)
    stages: list[list[nn.Module]] = []
    channels, num_skips = _STEM, 0
    for expansion, width, size, stride in _STAGES:
        shapes = [(channels, width, stride), *[(width, width, 1)] * (size - 1)]
        stages.append([InvertedResidual(*shape, expansion=expansion) for shape in shapes])
        num_skips += size - 1
        channels = width
    network = StagedNetwork(
        _conv_norm_relu6(in_channels, _STEM, 3, 2),
        stages,
        _conv_norm_relu6(channels, _HEAD, 1, 1),
        features=_HEAD,
        num_classes=num_classes,
        num_skips=num_skips,
        classifier=nn.Sequential(nn.Dropout(dropout), nn.Linear(_HEAD, num_classes)),
    )
    return initialised(network, init)
