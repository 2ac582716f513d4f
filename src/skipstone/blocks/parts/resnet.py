"""Post-activation residual blocks with their shortcut by name: what networks are stacked from."""

from typing import Literal

from torch import Tensor, nn

from skipstone.blocks.parts.layers import NormName, avg_pool, conv, norm
from skipstone.blocks.parts.residual import Residual, basic_branch, bottleneck_branch, named_sequence
from skipstone.blocks.parts.steps import option_a
from skipstone.core.errors import UnknownNameError
from skipstone.shapes.reconcile import Layout

ShortcutName = Literal["A", "B", "C", "D", "none"]
SHORTCUTS = ("A", "B", "C", "D", "none")


def projection(
    in_channels: int, out_channels: int, stride: int = 1, *, norm_name: NormName = "batch", dims: int = 2
) -> nn.Sequential:
    """1x1 convolution with stride, then norm."""
    return named_sequence(
        conv=conv(in_channels, out_channels, 1, stride, dims=dims, bias=norm_name == "none"),
        norm=norm(out_channels, norm_name, dims=dims),
    )


def pooled_projection(
    in_channels: int, out_channels: int, stride: int = 1, *, norm_name: NormName = "batch", dims: int = 2
) -> nn.Sequential:
    """Average pooling by the stride, rounding up, then 1x1 convolution and norm."""
    return named_sequence(
        pool=avg_pool(stride, dims=dims) if stride != 1 else None,
        conv=conv(in_channels, out_channels, 1, dims=dims, bias=norm_name == "none"),
        norm=norm(out_channels, norm_name, dims=dims),
    )


def shortcut(
    name: ShortcutName,
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    layout: Layout = "after",
    norm_name: NormName = "batch",
    dims: int = 2,
) -> nn.Module:
    """He et al.'s shortcut A, B or C, or ResNet-D's, from (N, C_in, H) to (N, C_out, ceil(H / stride))."""
    same = in_channels == out_channels and stride == 1
    if name == "A":
        return option_a(in_channels, out_channels, stride, layout, dims=dims)
    if name == "C" or (name == "B" and not same):
        return projection(in_channels, out_channels, stride, norm_name=norm_name, dims=dims)
    if name == "D" and not same:
        return pooled_projection(in_channels, out_channels, stride, norm_name=norm_name, dims=dims)
    if name in ("B", "D"):
        return nn.Identity()
    raise UnknownNameError("shortcut", name, SHORTCUTS)


class PlainBlock(nn.Module):
    """relu(branch(x)): the residual block with its skip left out."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.branch(x))
        return y


def basic_block(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    shortcut_name: ShortcutName = "B",
    layout: Layout = "after",
    norm_name: NormName = "batch",
    dropout: float = 0.0,
    dims: int = 2,
) -> nn.Module:
    """relu(shortcut(x) + 3x3(3x3(x))): (N, C_in, H) -> (N, C_out, ceil(H / stride)); "none" leaves the skip out."""
    branch = basic_branch(in_channels, out_channels, stride, norm_name=norm_name, dropout=dropout, dims=dims)
    if shortcut_name == "none":
        return PlainBlock(branch)
    path = shortcut(shortcut_name, in_channels, out_channels, stride, layout=layout, norm_name=norm_name, dims=dims)
    return Residual(branch, path, nn.ReLU())


def bottleneck_block(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    width: int | None = None,
    groups: int = 1,
    shortcut_name: ShortcutName = "B",
    layout: Layout = "after",
    norm_name: NormName = "batch",
    stride_first: bool = False,
    dims: int = 2,
) -> nn.Module:
    """relu(shortcut(x) + 1x1(3x3(1x1(x)))); with `groups` the ResNeXt block; "none" leaves the skip out."""
    branch = bottleneck_branch(
        in_channels, out_channels, stride, width=width, groups=groups, norm_name=norm_name,
        stride_first=stride_first, dims=dims,
    )  # fmt: skip
    if shortcut_name == "none":
        return PlainBlock(branch)
    path = shortcut(shortcut_name, in_channels, out_channels, stride, layout=layout, norm_name=norm_name, dims=dims)
    return Residual(branch, path, nn.ReLU())
