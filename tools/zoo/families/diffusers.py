"""Diffusers' networks, small; the time step is a tensor."""

from importlib import import_module

import torch
from torch import nn

from skipstone.models.zoos import import_torchvision
from zoo.network import Family, Network, flag, image

_ADDS = {
    "ResnetBlock2D": 1, "Attention": flag("residual_connection"),
    "UpBlock2D": lambda block: len(block.resnets), "AttnUpBlock2D": lambda block: len(block.resnets),
}  # fmt: skip


def _unet2d() -> nn.Module:
    import_torchvision("diffusers")
    kind = import_module("diffusers").UNet2DModel
    with torch.device("meta"):
        return kind(sample_size=32, block_out_channels=(32, 64, 64), norm_num_groups=8,
                    down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
                    up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"))  # fmt: skip


NETWORKS = (
    Network("UNet2DModel", _unet2d, lambda: {"sample": image(2, 3, 32, 32)()[0], "timestep": torch.tensor([1, 7])}),
)
FAMILY = Family("diffusers", NETWORKS, {"": _ADDS})
