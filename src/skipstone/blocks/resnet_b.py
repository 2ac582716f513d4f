"""Residual learning with projections where the shape changes (option B).

    y = relu(F(x) + W x)      where F changes the shape: W a 1x1 convolution with the branch's stride, then batch norm
    y = relu(F(x) + x)        elsewhere

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...), any channels.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all for its own branches, whose 3x3 convolutions give ceil(H / s) as a strided 1x1 does. Around
a branch with other arithmetic use `Residual(branch, example=...)`, which solves for the stride, kernel and padding.
"""

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.blocks.parts.resnet import shortcut
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="resnet_b",
    title="ResNet, shortcut B",
    paper="Deep Residual Learning for Image Recognition",
    year=2015,
    authors=("Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"),
    arxiv="1512.03385",
    section="3.3 and 4.1",
    equation="y = relu(F(x) + W x), W only where the shape changes",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels and any stride",
    fact="the shortcut has parameters just where channels or stride change, and is the identity elsewhere",
    skips=(DeclaredSkip("projection", "add"),),
)


class ResNetB(Residual):
    """relu(branch(x) + W x) around any branch (N, C_in, H, ...) -> (N, C_out, ceil(H / stride), ...)."""

    def __init__(
        self,
        branch: nn.Module,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        norm_name: NormName = "batch",
        dims: int = 2,
    ) -> None:
        super().__init__(
            branch, shortcut("B", in_channels, out_channels, stride, norm_name=norm_name, dims=dims), nn.ReLU()
        )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return ResNetB(basic_branch(4, 8, 2, dims=dims), 4, 8, 2, dims=dims), (2, 4, *[9] * dims)
