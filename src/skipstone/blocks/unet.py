"""U-Net's long skips: what the encoder saw is concatenated to what the decoder made, at any input size.

    y = [fit(e), d],   d = up(...(down(e)))

Shapes: e (N, C, H, ...), d (N, C', H', ...) -> (N, C + C', ...). Halving and doubling loses the last position of an odd
size, so one side must fit the other: `pad` puts zeros round d (default) and `interpolate` resizes it, so that the
output has the encoder's size; `crop` cuts the middle out of e, as in the paper, whose convolutions have no padding.

Initialisation: He normal.

How ours differs: the paper only crops, which suits sizes that come out even; the other ways take any size.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, cat, nn

from skipstone.blocks.parts.layers import NormName, conv, conv_transpose, max_pool, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import DeclaredSkip, Design
from skipstone.core.errors import UnknownNameError
from skipstone.shapes.reconcile import Shape

FitName = Literal["pad", "interpolate", "crop"]
FITS = ("pad", "interpolate", "crop")

DESIGN = Design(
    slug="unet",
    title="U-Net long skip",
    paper="U-Net: Convolutional Networks for Biomedical Image Segmentation",
    year=2015,
    authors=("Olaf Ronneberger", "Philipp Fischer", "Thomas Brox"),
    arxiv="1505.04597",
    section="2",
    equation="y = [fit(e), d], d = up(inner(down(e)))",
    initialisation="He normal",
    shapes="any sizes: the decoder is padded or resized to the encoder, or the encoder cropped to the decoder",
    fact="every input size from 2^depth up fits, and except with `crop` the output has the input's size",
    skips=(DeclaredSkip("identity", "cat"),),
)


def fit(x: Tensor, like: Tensor, how: FitName = "pad") -> Tensor:
    """Give x the spatial sizes of `like`: zeros round it or cut off it evenly, an odd position after; or resized."""
    if x.shape[2:] == like.shape[2:]:
        return x
    if how == "interpolate":
        return F.interpolate(x, like.shape[2:], mode="nearest")
    amounts: list[int] = []
    for size, wanted in zip(reversed(x.shape[2:]), reversed(like.shape[2:]), strict=True):
        before = (wanted - size) // 2
        amounts += [before, wanted - size - before]
    return F.pad(x, amounts)


class LongSkip(nn.Module):
    """[e, inner(e)] along the channels around any inner network, fitted to one size."""

    def __init__(self, inner: nn.Module, how: FitName = "pad") -> None:
        super().__init__()
        if how not in FITS:
            raise UnknownNameError("way to fit", how, FITS)
        self.inner = inner
        self.how: FitName = how

    def forward(self, e: Tensor) -> Tensor:
        d = self.inner(e)
        if self.how == "crop":
            return cat((fit(e, d, "pad"), d), dim=1)
        return cat((e, fit(d, e, self.how)), dim=1)

    def extra_repr(self) -> str:
        return f"how={self.how}"


def double_conv(
    in_channels: int, out_channels: int, *, norm_name: NormName = "none", padding: int = 1, dims: int = 2
) -> nn.Sequential:
    """Twice 3x3 - norm - ReLU; `padding=0` is the paper's. Biases only where no norm follows."""
    bias = norm_name == "none"
    return named_sequence(
        conv1=conv(in_channels, out_channels, 3, dims=dims, bias=bias, padding=padding),
        norm1=norm(out_channels, norm_name, dims=dims),
        relu1=nn.ReLU(),
        conv2=conv(out_channels, out_channels, 3, dims=dims, bias=bias, padding=padding),
        norm2=norm(out_channels, norm_name, dims=dims),
        relu2=nn.ReLU(),
    )


def unet_level(
    in_channels: int,
    width: int,
    inner: nn.Module,
    inner_channels: int,
    *,
    how: FitName = "pad",
    norm_name: NormName = "none",
    dims: int = 2,
) -> nn.Sequential:
    """One level: encoder to `width`, then [e, up(inner(pool(e)))], then decoder back to `width`.

    `inner` takes `width` channels at half the size and gives `inner_channels`; levels nest.
    """
    padding = 0 if how == "crop" else 1
    below = named_sequence(
        pool=max_pool(2, dims=dims), inner=inner, up=conv_transpose(inner_channels, width, dims=dims)
    )
    return named_sequence(
        encoder=double_conv(in_channels, width, norm_name=norm_name, padding=padding, dims=dims),
        skip=LongSkip(below, how),
        decoder=double_conv(2 * width, width, norm_name=norm_name, padding=padding, dims=dims),
    )


def unet_levels(
    in_channels: int,
    width: int = 64,
    depth: int = 4,
    *,
    how: FitName = "pad",
    norm_name: NormName = "none",
    dims: int = 2,
) -> nn.Sequential:
    """The whole U without its last 1x1: `depth` levels, the width doubling at each; gives `width` channels."""
    if depth == 0:
        padding = 0 if how == "crop" else 1
        return double_conv(in_channels, width, norm_name=norm_name, padding=padding, dims=dims)
    inner = unet_levels(width, 2 * width, depth - 1, how=how, norm_name=norm_name, dims=dims)
    return unet_level(in_channels, width, inner, 2 * width, how=how, norm_name=norm_name, dims=dims)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return unet_levels(4, 4, 1, dims=dims), (2, 4, *[8] * dims)
