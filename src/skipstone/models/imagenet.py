"""Networks for ImageNet shapes (3x224x224), at the published sizes.

Their forms, papers and tables:

    imagenet_resnet{18,34}         He 2015 (arXiv 1512.03385, table 1): basic blocks, shortcut B
    imagenet_resnet{50,101,152}    bottlenecks, stride on the 3x3 convolution as in common code (the paper: the first
    1x1) imagenet_plain{18,34}          the same without skips imagenet_resnet{50,..}_d       He T. 2018 (arXiv
    1812.01187): pooled projections, a stem of three 3x3 convolutions imagenet_resnext50_32x4d       Xie 2016 (arXiv
    1611.05431): grouped 3x3 convolutions imagenet_res2net50_26wx4s      Gao 2019 (arXiv 1904.01169): a hierarchy of 3x3
    convolutions in each bottleneck imagenet_densenet{121,...}     Huang 2016 (arXiv 1608.06993, table 1)
"""

from collections.abc import Mapping, Sequence

from torch import nn

from skipstone.blocks.densenet import dense_block, transition
from skipstone.blocks.parts.layers import NormName, conv, max_pool
from skipstone.blocks.parts.layers import norm as make_norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.blocks.parts.resnet import ShortcutName, basic_block, bottleneck_block
from skipstone.blocks.res2net import res2net_block
from skipstone.models.options import at_least, one_of
from skipstone.models.residual import last_activation
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_plans

_SIZES: Mapping[int, tuple[int, ...]] = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_BOTTLENECK_FROM = 50
_EXPANSION = 4
# depth: layers of each block, growth, channels of the stem
_DENSE: Mapping[int, tuple[tuple[int, ...], int, int]] = {
    121: ((6, 12, 24, 16), 32, 64),
    161: ((6, 12, 36, 24), 48, 96),
    169: ((6, 12, 32, 32), 32, 64),
    201: ((6, 12, 48, 32), 32, 64),
}
SHORTCUTS = ("A", "B", "C", "D", "none")


def _stem(in_channels: int, width: int, norm_name: NormName, *, deep: bool) -> nn.Sequential:
    """Images to (N, width, H/4, W/4): 7x7 stride 2, or three 3x3 of which the first has stride 2; then 3x3 pooling."""
    bias = norm_name == "none"
    half = width // 2
    if deep:
        return named_sequence(
            conv1=conv(in_channels, half, 3, 2, bias=bias),
            norm1=make_norm(half, norm_name),
            relu1=nn.ReLU(),
            conv2=conv(half, half, 3, bias=bias),
            norm2=make_norm(half, norm_name),
            relu2=nn.ReLU(),
            conv3=conv(half, width, 3, bias=bias),
            norm3=make_norm(width, norm_name),
            relu3=nn.ReLU(),
            pool=max_pool(3, 2, padding=1),
        )
    return named_sequence(
        conv=conv(in_channels, width, 7, 2, bias=bias),
        norm=make_norm(width, norm_name),
        relu=nn.ReLU(),
        pool=max_pool(3, 2, padding=1),
    )


def resnet(
    depth: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    shortcut: ShortcutName = "B",
    deep_stem: bool = False,
    groups: int = 1,
    width_per_group: int | None = None,
    norm: NormName = "batch",
    init: str = "he",
) -> nn.Module:
    """ResNet-18, -34, -50, -101 or -152: images (N, in_channels, H, W) to logits (N, num_classes).

    `groups` and `width_per_group` make the 3x3 convolutions of bottlenecks those of a ResNeXt; `shortcut` may be "D"
    too.
    """
    check_options(in_channels=in_channels, width=width, dropout=0.0, init=init)
    one_of("shortcut", shortcut, SHORTCUTS)
    at_least("groups", groups, 1)
    bottleneck = depth >= _BOTTLENECK_FROM
    sizes = _SIZES[depth]
    widths = [width * 2**i * (_EXPANSION if bottleneck else 1) for i in range(4)]
    per_group = width if width_per_group is None else width_per_group

    def make(stage: int, before: int, after: int, stride: int) -> nn.Module:
        if not bottleneck:
            return basic_block(before, after, stride, shortcut_name=shortcut, norm_name=norm)
        inner = groups * per_group * 2**stage
        return bottleneck_block(
            before, after, stride, width=inner, groups=groups, shortcut_name=shortcut, norm_name=norm
        )

    network = StagedNetwork(
        _stem(in_channels, width, norm, deep=deep_stem),
        [[make(i, *shape) for shape in plan] for i, plan in enumerate(stage_plans(widths, sizes, width))],
        None,
        features=widths[-1],
        num_classes=num_classes,
        num_skips=0 if shortcut == "none" else sum(sizes),
    )
    return initialised(network, init)


def plain(
    depth: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    norm: NormName = "batch",
    init: str = "he",
) -> nn.Module:
    """ResNet-18 or -34 without its skips."""
    return resnet(
        depth, num_classes=num_classes, in_channels=in_channels, width=width, shortcut="none", norm=norm, init=init
    )


def resnet_d(
    depth: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    norm: NormName = "batch",
    init: str = "he",
) -> nn.Module:
    """ResNet-50-D and its deeper sisters: shortcut D and the stem of three 3x3 convolutions."""
    return resnet(
        depth, num_classes=num_classes, in_channels=in_channels, width=width, shortcut="D", deep_stem=True, norm=norm,
        init=init,
    )  # fmt: skip


def resnext(
    depth: int,
    groups: int,
    width_per_group: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    shortcut: ShortcutName = "B",
    norm: NormName = "batch",
    init: str = "he",
) -> nn.Module:
    """ResNeXt-depth, `groups` x `width_per_group`d."""
    return resnet(
        depth, num_classes=num_classes, in_channels=in_channels, shortcut=shortcut, groups=groups,
        width_per_group=width_per_group, norm=norm, init=init,
    )  # fmt: skip


def res2net(
    depth: int,
    width_per_part: int,
    scale: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    init: str = "he",
) -> nn.Module:
    """Res2Net-depth with `scale` parts of `width_per_part` channels in each bottleneck of the first stage."""
    check_options(in_channels=in_channels, width=width, dropout=0.0, init=init)
    at_least("width_per_part", width_per_part, 1)
    at_least("scale", scale, 2)
    sizes, widths = _SIZES[depth], [width * _EXPANSION * 2**i for i in range(4)]
    network = StagedNetwork(
        _stem(in_channels, width, "batch", deep=False),
        [
            [res2net_block(*shape, width=width_per_part * 2**i, scale=scale) for shape in plan]
            for i, plan in enumerate(stage_plans(widths, sizes, width))
        ],
        None,
        features=widths[-1],
        num_classes=num_classes,
        num_skips=sum(sizes),
    )
    return initialised(network, init)


def densenet(
    depth: int,
    *,
    num_classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    norm: NormName = "batch",
    init: str = "he",
) -> nn.Module:
    """DenseNet-121, -161, -169 or -201: bottleneck layers, transitions that halve the channels."""
    sizes, growth, width = _DENSE[depth]
    check_options(in_channels=in_channels, width=width, dropout=dropout, init=init)
    stages: list[Sequence[nn.Module]] = []
    channels = width
    for index, size in enumerate(sizes):
        start = [transition(channels, 0.5, norm_name=norm)] if index else []
        channels = channels // 2 if index else channels
        block = dense_block(channels, growth, size, bottleneck=True, dropout=dropout, norm_name=norm)
        stages.append([*start, *block])
        channels += size * growth
    network = StagedNetwork(
        _stem(in_channels, width, norm, deep=False),
        stages,
        last_activation(channels, norm),
        features=channels,
        num_classes=num_classes,
        num_skips=sum(sizes),
    )
    return initialised(network, init)
