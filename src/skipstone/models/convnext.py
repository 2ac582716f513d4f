"""ConvNeXt-T for ImageNet shapes: Liu 2022 (arXiv 2201.03545, section 2).

A 4x4 convolution with stride 4, four stages of blocks that keep their shape, between stages a norm and a 2x2
convolution with stride 2 and no skip; pooling, norm, linear.
"""

from collections.abc import Sequence

from torch import nn

from skipstone.blocks.convnext import ConvNeXt, downsample
from skipstone.blocks.parts.layers import ChannelNorm, conv
from skipstone.models.options import OptionError, at_least
from skipstone.models.stages import StagedNetwork

_SIZES = (3, 3, 9, 3)
_WIDTHS = (96, 192, 384, 768)


def convnext(
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    sizes: Sequence[int] = _SIZES,
    widths: Sequence[int] = _WIDTHS,
    eps: float = 1e-6,
    survival: float = 1.0,
) -> nn.Module:
    """ConvNeXt: images (N, in_channels, H, W), H and W at least 32, to logits (N, num_classes).

    `sizes` blocks of `widths` channels in each stage; `eps` is where the blocks' diagonal scale starts; block l of L is
    kept with probability 1 - l/L (1 - `survival`), counting from 0 to L - 1.
    """
    at_least("in_channels", in_channels, 1)
    if len(sizes) != len(widths) or not sizes:
        raise OptionError(f"sizes={sizes!r}, widths={widths!r}: must be of one length, at least 1")
    if not 0 < survival <= 1:
        raise OptionError(f"survival={survival!r}: must be a number p with 0 < p <= 1")
    stages: list[list[nn.Module]] = []
    done = 0
    for index, (size, width) in enumerate(zip(sizes, widths, strict=True)):
        start = [downsample(widths[index - 1], width)] if index else []
        kept = [1 - (1 - survival) * (done + i) / max(sum(sizes) - 1, 1) for i in range(size)]
        stages.append([*start, *(ConvNeXt(width, eps=eps, survival=p) for p in kept)])
        done += size
    last = widths[-1]
    return StagedNetwork(
        nn.Sequential(conv(in_channels, widths[0], 4, 4, bias=True, padding=0), ChannelNorm(widths[0])),
        stages,
        None,
        features=last,
        num_classes=num_classes,
        num_skips=sum(sizes),
        classifier=nn.Sequential(nn.LayerNorm(last, 1e-6), nn.Linear(last, num_classes)),
    )
