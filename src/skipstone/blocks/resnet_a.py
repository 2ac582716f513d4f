"""Residual learning with parameter-free shortcuts (option A).

    y = relu(F(x) + pad(x[::s]))

Where the branch F changes the shape, the shortcut takes every s-th position of each spatial axis and fills the new
channels with zeros; elsewhere it is the identity. It has no parameters.

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...), C_out >= C_in; shrinking channels raise `SizeError`. Odd
sizes and a stride without new channels work.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: two incompatible layouts of the zeros are in use, and the paper names neither. `layout="after"`
(default) puts them after the channels, `layout="both"` half before and half after. Networks trained with one give
other outputs with the other, at equal parameters and error.
"""

from torch import nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.blocks.parts.steps import option_a
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Layout, Shape

DESIGN = Design(
    slug="resnet_a",
    title="ResNet, shortcut A",
    paper="Deep Residual Learning for Image Recognition",
    year=2015,
    authors=("Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"),
    arxiv="1512.03385",
    section="3.3 and 4.1",
    equation="y = relu(F(x) + pad(x[::s]))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="channels may grow and any stride works; shrinking channels are refused",
    fact="the shortcut has no parameters, for odd sizes, both layouts and strides without new channels too",
    skips=(DeclaredSkip("resample", "add"),),
)


class ResNetA(Residual):
    """relu(branch(x) + pad(x[::stride])) around any branch (N, C_in, H, ...) -> (N, C_out, ceil(H / stride), ...)."""

    def __init__(
        self,
        branch: nn.Module,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        layout: Layout = "after",
        dims: int = 2,
    ) -> None:
        super().__init__(branch, option_a(in_channels, out_channels, stride, layout, dims=dims), nn.ReLU())


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return ResNetA(basic_branch(4, 8, 2, dims=dims), 4, 8, 2, dims=dims), (2, 4, *[9] * dims)
