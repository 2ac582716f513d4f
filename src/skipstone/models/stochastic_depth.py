"""ResNets with stochastic depth for CIFAR: Huang 2016 (arXiv 1603.09382).

The residual network of He 2015 with shortcut A, in training without block l of L at probability l/L (1 - p_L). It has
the same parameters; on average (3L - 1)/4 of L blocks run at p_L = 0.5.
"""

from collections.abc import Sequence

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.blocks.parts.residual import basic_branch
from skipstone.blocks.parts.resnet import ShortcutName
from skipstone.blocks.parts.resnet import shortcut as make_shortcut
from skipstone.blocks.stochastic_depth import Per, Scaling, StochasticDepth
from skipstone.blocks.stochastic_depth import survival as survival_of
from skipstone.models.options import OptionError, one_of
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_plans, stage_sizes, stem

SHORTCUTS = ("A", "B", "C")


def stochastic_depth(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    width: int = 16,
    blocks_per_stage: int | Sequence[int] | None = None,
    shortcut: ShortcutName = "A",
    survival: float = 0.5,
    scaling: Scaling = "paper",
    per: Per = "batch",
    dropout: float = 0.0,
    norm: NormName = "batch",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """The stochastic-depth network of depth 6n+2: images (N, in_channels, H, W) to logits (N, num_classes).

    `survival` is the probability that the last block is kept; `scaling` and `per` are those of the block
    `StochasticDepth`.
    """
    check_options(in_channels=in_channels, width=width, dropout=dropout, init=init)
    one_of("shortcut", shortcut, SHORTCUTS)
    if not 0 < survival <= 1:
        raise OptionError(f"survival={survival!r}: must be a number p with 0 < p <= 1")
    sizes = stage_sizes("stochastic_depth", depth, blocks_per_stage, step=6, extra=2)
    kept = iter([survival_of(block, sum(sizes), survival) for block in range(1, sum(sizes) + 1)])

    def make(before: int, after: int, stride: int) -> nn.Module:
        branch = basic_branch(before, after, stride, norm_name=norm, dropout=dropout, dims=dims)
        path = make_shortcut(shortcut, before, after, stride, norm_name=norm, dims=dims)
        return StochasticDepth(branch, next(kept), path, nn.ReLU(), scaling=scaling, per=per)

    network = StagedNetwork(
        stem(in_channels, width, norm, dims),
        [[make(*shape) for shape in plan] for plan in stage_plans((width, 2 * width, 4 * width), sizes, width)],
        None,
        features=4 * width,
        num_classes=num_classes,
        num_skips=sum(sizes),
        dims=dims,
    )
    return initialised(network, init)
