"""What the networks are made of besides blocks: normalisation by name, He initialisation, the three-stage frame."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from skipstone.models.options import one_of

NORMS = ("batch", "group", "instance", "none")
INITS = ("he", "torch")


def make_norm(norm: str, channels: int) -> nn.Module:
    """A normalisation over (N, channels, H, W) by name; "group" uses at most 8 groups, "none" is the identity."""
    one_of("norm", norm, NORMS)
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(next(g for g in (8, 7, 6, 5, 4, 3, 2, 1) if channels % g == 0), channels)
    if norm == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.Identity()


def conv3x3(in_channels: int, out_channels: int, *, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    """A 3x3 convolution with padding 1: h to ceil(h / stride)."""
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=bias)


def initialise(network: nn.Module, init: str) -> None:
    """`init="he"`: normal weights of variance 2 / fan-out for convolutions, zero biases; "torch": no change."""
    one_of("init", init, INITS)
    if init == "torch":
        return
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class ThreeStages(nn.Module):
    """The frame of the CIFAR networks: a 3x3 stem, stages of blocks, global average pooling, a linear layer.

    Images (N, in_channels, H, W) to logits (N, num_classes). The stages after the first halve the map, rounding up, so
    that any image of at least 1x1 fits: 32 -> 32, 16, 8 as in the paper, 8 -> 8, 4, 2 for the digits. `head` stands
    between the last stage and the pooling. `num_skips` is how many skip connections the network declares.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[Sequence[nn.Module]],
        head: nn.Module,
        *,
        features: int,
        num_classes: int,
        num_skips: int,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in stages)
        self.head = head
        self.fc = nn.Linear(features, num_classes)
        self.num_skips = num_skips

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        pooled = torch.mean(self.head(x), dim=(2, 3))
        logits: Tensor = self.fc(pooled)
        return logits


def stage_plan(widths: Sequence[int], blocks_per_stage: int, in_channels: int) -> Iterator[list[tuple[int, int, int]]]:
    """For each stage, (channels in, channels out, stride) of its blocks; the stages after the first begin with stride
    2.

    >>> list(stage_plan((16, 32), 2, 16))
    [[(16, 16, 1), (16, 16, 1)], [(16, 32, 2), (32, 32, 1)]]
    """
    for i, width in enumerate(widths):
        first = (in_channels, width, 1 if i == 0 else 2)
        yield [first, *[(width, width, 1)] * (blocks_per_stage - 1)]
        in_channels = width
