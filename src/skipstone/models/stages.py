"""The frame of the networks: a stem, stages of blocks, global average pooling, a linear layer."""

from collections.abc import Iterator, Sequence

from torch import Tensor, nn

from skipstone.blocks.parts.layers import NormName, conv, global_avg_pool, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.models.depth import num_blocks
from skipstone.models.options import OptionError, at_least, one_of, probability
from skipstone.tracing.torch_internals import CONVS

INITS = ("he", "torch")


class StagedNetwork(nn.Module):
    """Images (N, in_channels, H, W) to logits (N, num_classes).

    Stages after the first halve the map, rounding up, so that an image of any size fits: 32 -> 32, 16, 8 as in the
    papers, 8 -> 8, 4, 2 for the digits. `head` stands between the last stage and the pooling. `num_skips` is how many
    skip connections the network declares, as its paper counts them.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[Sequence[nn.Module]],
        head: nn.Module | None,
        *,
        features: int,
        num_classes: int,
        num_skips: int,
        classifier: nn.Module | None = None,
        dims: int = 2,
    ) -> None:
        super().__init__()
        at_least("num_classes", num_classes, 1)
        self.stem = stem
        self.stages = nn.ModuleList(nn.Sequential(*blocks) for blocks in stages)
        self.head = nn.Identity() if head is None else head
        self.pool = global_avg_pool(dims)
        self.fc = nn.Linear(features, num_classes) if classifier is None else classifier
        self.num_skips = num_skips

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        pooled: Tensor = self.pool(self.head(x))
        logits: Tensor = self.fc(pooled.flatten(1))
        return logits


def stem(in_channels: int, width: int, norm_name: NormName, dims: int = 2) -> nn.Sequential:
    """3x3 convolution - norm - ReLU, the beginning of the networks that activate after the addition."""
    bias = norm_name == "none"
    return named_sequence(
        conv=conv(in_channels, width, bias=bias, dims=dims), norm=norm(width, norm_name, dims=dims), relu=nn.ReLU()
    )


def stage_sizes(
    family: str, depth: int, blocks_per_stage: int | Sequence[int] | None, *, step: int, extra: int
) -> tuple[int, int, int]:
    """How many blocks each of the three stages gets: the n of the depth, or what `blocks_per_stage` says instead.

    >>> stage_sizes("resnet", 20, None, step=6, extra=2)
    (3, 3, 3)
    """
    n = num_blocks(family, depth, step=step, extra=extra)
    if blocks_per_stage is None:
        return n, n, n
    sizes = [blocks_per_stage] * 3 if isinstance(blocks_per_stage, int) else list(blocks_per_stage)
    if len(sizes) != 3:
        raise OptionError(f"blocks_per_stage={blocks_per_stage!r}: must be one integer, or three")
    for size in sizes:
        at_least("blocks_per_stage", size, 1)
    return sizes[0], sizes[1], sizes[2]


def stage_plans(widths: Sequence[int], sizes: Sequence[int], in_channels: int) -> Iterator[list[tuple[int, int, int]]]:
    """For each stage, (channels in, channels out, stride) of its blocks; stages after the first begin with stride 2.

    >>> list(stage_plans((16, 32), (2, 2), 16))
    [[(16, 16, 1), (16, 16, 1)], [(16, 32, 2), (32, 32, 1)]]
    """
    for i, (width, size) in enumerate(zip(widths, sizes, strict=True)):
        yield [(in_channels, width, 1 if i == 0 else 2), *[(width, width, 1)] * (size - 1)]
        in_channels = width


def check_options(*, in_channels: int, width: int, dropout: float, init: str = "he") -> None:
    """Refuse, with the option's name, what no network of three stages can have."""
    at_least("in_channels", in_channels, 1)
    at_least("width", width, 1)
    probability("dropout", dropout)
    one_of("init", init, INITS)


def initialised(network: nn.Module, init: str) -> nn.Module:
    """The network as its blocks initialised it (`"he"`: normal, fan-out), or with torch's own defaults (`"torch"`)."""
    if init == "torch":
        for module in network.modules():
            if isinstance(module, (CONVS, nn.Linear)):
                module.reset_parameters()
    return network
