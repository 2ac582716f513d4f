"""The residual networks for CIFAR: He 2015 (arXiv 1512.03385, section 4.2), He 2016 (arXiv 1603.05027), and wide.

    resnet   stem conv-norm-ReLU, blocks relu(shortcut(x) + F(x)); basic blocks at depth 6n+2, bottlenecks at 9n+2
    preact   stem conv, blocks x + F(relu(norm(x))), norm and ReLU at the end; the same depths
    wrn      pre-activation, k times as wide, depth 6n+4, projections

Widths are w, 2w, 4w with w = 16 (four times that behind bottlenecks), strides 1, 2, 2. Basic ResNets with shortcut A
have, at w = 16 and 10 classes, 97,216n - 21,926 parameters and 14,155,776n - 1,916,288 multiply-adds; B adds 2,752 and
262,144.
"""

from collections.abc import Sequence
from typing import Literal

from torch import nn

from skipstone.blocks import preactivation
from skipstone.blocks.parts.layers import NormName, conv
from skipstone.blocks.parts.layers import norm as make_norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.blocks.parts.resnet import ShortcutName, basic_block, bottleneck_block
from skipstone.blocks.preactivation import preactivation_block
from skipstone.blocks.wide import wide_block
from skipstone.models.options import OptionError, at_least, one_of
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_plans, stage_sizes, stem
from skipstone.shapes.reconcile import Layout

BlockName = Literal["auto", "basic", "bottleneck"]
BLOCKS = ("auto", "basic", "bottleneck")
SHORTCUTS = ("A", "B", "C", "none")
# Depths at which the papers use bottlenecks although 6n+2 (164 = 6·27+2) may fit too.
_BOTTLENECK_DEPTHS = (164, 1001)
_EXPANSION = 4


def is_bottleneck(depth: int, block: BlockName) -> bool:
    """Has a residual network of this depth bottlenecks? "auto" takes them at 164 and 1001 layers, as published."""
    one_of("block", block, BLOCKS)
    return block == "bottleneck" or (block == "auto" and depth in _BOTTLENECK_DEPTHS)


def _shortcut(name: ShortcutName | None, bottleneck: bool) -> ShortcutName:
    if name is None:
        return "B" if bottleneck else "A"
    one_of("shortcut", name, SHORTCUTS)
    return name


def resnet(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | Sequence[int] | None = None,
    shortcut: ShortcutName | None = None,
    layout: Layout = "after",
    block: BlockName = "auto",
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """The residual network of depth 6n+2 (basic blocks) or 9n+2 (bottlenecks): images (N, in_channels, H, W) to logits.

    `shortcut` is "A" (parameter-free; the default of basic blocks), "B" (1x1 where the shape changes; that of
    bottlenecks), "C" (1x1 everywhere) or "none"; `layout` says where A puts its zero channels. `block` "auto" takes
    bottlenecks at 164 and 1001 layers. `dropout` stands between a basic block's convolutions, `blocks_per_stage`
    overrides n.
    """
    return after_addition(
        "resnet", depth, num_classes=num_classes, in_channels=in_channels, width=width,
        blocks_per_stage=blocks_per_stage, shortcut=shortcut, layout=layout, block=block, dropout=dropout, norm=norm,
        dims=dims, init=init,
    )  # fmt: skip


def after_addition(
    family: str,
    depth: int,
    *,
    num_classes: int,
    in_channels: int,
    width: int,
    blocks_per_stage: int | Sequence[int] | None,
    shortcut: ShortcutName | None,
    layout: Layout,
    block: BlockName,
    dropout: float,
    norm: NormName,
    dims: int,
    init: str,
) -> nn.Module:
    """A network of blocks that activate after the addition, with or without skips; `family` is its name in errors."""
    check_options(in_channels=in_channels, width=width, dropout=dropout, init=init)
    bottleneck = is_bottleneck(depth, block)
    name = _shortcut(shortcut, bottleneck)
    if bottleneck and dropout:
        raise OptionError(f"dropout={dropout}: bottleneck blocks have none; use block='basic' or dropout=0")
    sizes = stage_sizes(family, depth, blocks_per_stage, step=9 if bottleneck else 6, extra=2)
    widths = [w * width * (_EXPANSION if bottleneck else 1) for w in (1, 2, 4)]

    def make(before: int, after: int, stride: int) -> nn.Module:
        if bottleneck:
            return bottleneck_block(before, after, stride, shortcut_name=name, layout=layout, norm_name=norm, dims=dims)
        return basic_block(
            before, after, stride, shortcut_name=name, layout=layout, norm_name=norm, dropout=dropout, dims=dims
        )

    network = StagedNetwork(
        stem(in_channels, width, norm, dims),
        [[make(*sizes_) for sizes_ in plan] for plan in stage_plans(widths, sizes, width)],
        None,
        features=widths[-1],
        num_classes=num_classes,
        num_skips=0 if name == "none" else sum(sizes),
        dims=dims,
    )
    return initialised(network, init)


def preact(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | Sequence[int] | None = None,
    shortcut: ShortcutName | None = None,
    layout: Layout = "after",
    block: BlockName = "auto",
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """The pre-activation network of depth 6n+2 (basic blocks) or 9n+2 (bottlenecks); options as `resnet`.

    Projections take the activated input and have no norm of their own.
    """
    check_options(in_channels=in_channels, width=width, dropout=dropout, init=init)
    bottleneck = is_bottleneck(depth, block)
    name = _shortcut(shortcut, bottleneck)
    if bottleneck and dropout:
        raise OptionError(f"dropout={dropout}: bottleneck blocks have none; use block='basic' or dropout=0")
    sizes = stage_sizes("preact", depth, blocks_per_stage, step=9 if bottleneck else 6, extra=2)
    widths = [w * width * (_EXPANSION if bottleneck else 1) for w in (1, 2, 4)]

    def make(before: int, after: int, stride: int) -> nn.Module:
        if bottleneck:
            branch = preactivation.bottleneck_branch(before, after, stride, norm_name=norm, dims=dims)
        else:
            branch = preactivation.basic_branch(before, after, stride, norm_name=norm, dropout=dropout, dims=dims)
        return preactivation_block(
            branch, before, after, stride, shortcut_name=name, layout=layout, norm_name=norm, dims=dims
        )

    network = StagedNetwork(
        conv(in_channels, width, bias=norm == "none", dims=dims),
        [[make(*sizes_) for sizes_ in plan] for plan in stage_plans(widths, sizes, width)],
        last_activation(widths[-1], norm, dims),
        features=widths[-1],
        num_classes=num_classes,
        num_skips=0 if name == "none" else sum(sizes),
        dims=dims,
    )
    return initialised(network, init)


def wrn(
    depth: int,
    factor: int,
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
    """The wide residual network WRN-depth-factor (arXiv 1605.07146): depth 6n+4, stages of width times `factor`."""
    check_options(in_channels=in_channels, width=width, dropout=dropout, init=init)
    at_least("factor", factor, 1)
    sizes = stage_sizes("wrn", depth, blocks_per_stage, step=6, extra=4)
    widths = [w * width * factor for w in (1, 2, 4)]
    network = StagedNetwork(
        conv(in_channels, width, bias=norm == "none", dims=dims),
        [
            [wide_block(*shape, dropout=dropout, norm_name=norm, dims=dims) for shape in plan]
            for plan in stage_plans(widths, sizes, width)
        ],
        last_activation(widths[-1], norm, dims),
        features=widths[-1],
        num_classes=num_classes,
        num_skips=sum(sizes),
        dims=dims,
    )
    return initialised(network, init)


def last_activation(channels: int, norm_name: NormName, dims: int = 2) -> nn.Sequential:
    """norm - ReLU, which networks that activate before each convolution need once more at their end."""
    return named_sequence(norm=make_norm(channels, norm_name, dims=dims), relu=nn.ReLU())
