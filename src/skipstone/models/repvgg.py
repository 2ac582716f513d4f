"""RepVGG for ImageNet shapes: Ding 2021 (arXiv 2101.03697, table 2)."""

from collections.abc import Mapping
from copy import deepcopy

from torch import nn

from skipstone.blocks.repvgg import RepVGG
from skipstone.models.stages import StagedNetwork, check_options, initialised, stage_plans

# blocks of each stage, their channels; the stem has as many as the first stage
_SIZES: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "a0": ((2, 4, 14, 1), (48, 96, 192, 1280)),
    "a1": ((2, 4, 14, 1), (64, 128, 256, 1280)),
    "a2": ((2, 4, 14, 1), (96, 192, 384, 1408)),
}


def repvgg(size: str, *, num_classes: int = 1000, in_channels: int = 3, init: str = "he") -> nn.Module:
    """RepVGG-A0, -A1 or -A2 in its training form: images (N, in_channels, H, W) to logits (N, num_classes).

    Every block adds a 1x1 convolution to its 3x3 one; those that keep the shape add their input too.
    """
    sizes, widths = _SIZES[size]
    check_options(in_channels=in_channels, width=widths[0], dropout=0.0, init=init)
    plans = [
        [(a, b, 2 if i == 0 else 1) for i, (a, b, _) in enumerate(p)] for p in stage_plans(widths, sizes, widths[0])
    ]
    network = StagedNetwork(
        RepVGG(in_channels, widths[0], 2),
        [[RepVGG(*shape) for shape in plan] for plan in plans],
        None,
        features=widths[-1],
        num_classes=num_classes,
        num_skips=sum(size - 1 for size in sizes),  # the identities; a 1x1 beside a 3x3 is a parallel layer
    )
    return initialised(network, init)


def fold(network: StagedNetwork) -> StagedNetwork:
    """A copy with every block folded into one 3x3 convolution: the same outputs in evaluation mode, and no skips."""
    folded = deepcopy(network)
    for name, module in list(folded.named_modules()):
        if isinstance(module, RepVGG):
            path, _, last = name.rpartition(".")
            setattr(folded.get_submodule(path), last, module.fold())
    folded.num_skips = 0
    return folded.eval()
