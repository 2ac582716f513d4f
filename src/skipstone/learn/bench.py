"""What an exercise measures on: small networks with given skips and normalisation, and one batch of given numbers."""

import torch
from torch import Tensor, nn


def network(kind: str, depth: int, norm: str) -> nn.Module:
    """A network of 8x8 grey images, width 4, with PyTorch's own initialisation, the same at every call.

    `kind`: "plain" or "residual"; `depth`: 8, 20 or 56; `norm`: "none" or "batch".
    """
    from skipstone.models.plain import plain
    from skipstone.models.residual import resnet

    build = {"plain": plain, "residual": resnet}[kind]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(depth, width=4, in_channels=1, norm=norm, init="torch")  # type: ignore[arg-type]


def batch() -> tuple[Tensor, Tensor]:
    """Images (32, 1, 8, 8) and labels (32,), drawn once and for all."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(32, 1, 8, 8, generator=generator), torch.randint(10, (32,), generator=generator)
