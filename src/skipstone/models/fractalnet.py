"""FractalNet for CIFAR: Larsson 2016 (arXiv 1605.07648), depth without residual sums.

    five blocks of `columns` columns, widths 64, 128, 256, 512, 512; 2x2 max pooling between them, then mean and linear

A block of C columns has 2^C - 1 layers, and its longest path 2^(C-1). With three columns and ten classes there are
33,724,618 parameters; papers quote 38.6 million, a difference we cannot explain.
"""

from collections.abc import Sequence

from torch import nn

from skipstone.blocks.fractalnet import fractal_block
from skipstone.blocks.parts.layers import max_pool
from skipstone.models.options import OptionError, at_least, probability
from skipstone.models.stages import StagedNetwork, check_options, initialised

_WIDTHS = (64, 128, 256, 512, 512)


def fractalnet(
    columns: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    widths: Sequence[int] = _WIDTHS,
    drop_path: float = 0.0,
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """FractalNet with a block for each of `widths`: images of at least 2^(blocks - 1) pixels to logits (N,
    num_classes).

    `drop_path` is the probability with which a join drops an input in training.
    """
    if not widths:
        raise OptionError("widths=(): must name the channels of at least one block")
    check_options(in_channels=in_channels, width=min(widths), dropout=0.0, init=init)
    at_least("columns", columns, 1)
    probability("drop_path", drop_path)
    stages: list[list[nn.Module]] = []
    for before, width in zip([in_channels, *widths], widths, strict=False):
        pool = [max_pool(2, dims=dims)] if stages else []
        stages.append([*pool, fractal_block(before, width, columns, drop_path, dims=dims)])
    network = StagedNetwork(
        nn.Identity(),
        stages,
        None,
        features=widths[-1],
        num_classes=num_classes,
        num_skips=0,  # columns of layers join: "without residuals", says the title
        dims=dims,
    )
    return initialised(network, init)
