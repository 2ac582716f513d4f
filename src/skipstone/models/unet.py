"""U-Net: Ronneberger 2015 (arXiv 1505.04597, figure 1), encoder and decoder joined by concatenations at every scale.

Four halvings, widths 64 to 1024. With 1 -> 2 channels, biases and no normalisation, as published, it has 31,030,658
parameters; with batch norm and 3 -> 2 channels, as it is mostly built since, 31,037,698. The paper's unpadded
convolutions (`how="crop"`) make 388x388 of 572x572; the other ways keep every size.
"""

from torch import Tensor, nn

from skipstone.blocks.parts.layers import NormName, conv
from skipstone.blocks.unet import FitName, unet_levels
from skipstone.models.options import at_least, one_of
from skipstone.models.stages import INITS, initialised


class UNet(nn.Module):
    """Images (N, in_channels, H, W), H and W at least 2^levels, to class maps (N, num_classes, H, W)."""

    def __init__(
        self, num_classes: int, in_channels: int, width: int, levels: int, how: FitName, norm: NormName, dims: int
    ) -> None:
        super().__init__()
        self.levels = unet_levels(in_channels, width, levels, how=how, norm_name=norm, dims=dims)
        self.classifier = conv(width, num_classes, 1, bias=True, dims=dims)
        self.num_skips = levels

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.classifier(self.levels(x))
        return maps


def unet(
    *,
    num_classes: int = 2,
    in_channels: int = 1,
    width: int = 64,
    levels: int = 4,
    how: FitName = "pad",
    norm: NormName = "none",
    dims: int = 2,
    init: str = "he",
) -> nn.Module:
    """U-Net of `levels` halvings, `width` channels at full size; `how` fits sizes: "pad", "interpolate" or "crop"."""
    for option, value in {"num_classes": num_classes, "in_channels": in_channels, "width": width}.items():
        at_least(option, value, 1)
    at_least("levels", levels, 0)
    one_of("init", init, INITS)
    return initialised(UNet(num_classes, in_channels, width, levels, how, norm, dims), init)
