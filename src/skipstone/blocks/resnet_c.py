"""Residual learning with a projection on every shortcut (option C).

    y = relu(F(x) + W x)      W a 1x1 convolution with the branch's stride, then batch norm, in every block

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...), any channels.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all. The paper found C slightly better than B on ImageNet and put it down to the extra
parameters; with bottlenecks it doubles time and size.
"""

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.blocks.parts.resnet import shortcut
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="resnet_c",
    title="ResNet, shortcut C",
    paper="Deep Residual Learning for Image Recognition",
    year=2015,
    authors=("Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"),
    arxiv="1512.03385",
    section="4.1",
    equation="y = relu(F(x) + W x) in every block",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels and any stride",
    fact="every shortcut has C_in * C_out weights and 2 C_out of batch norm, equal shapes included",
    skips=(DeclaredSkip("projection", "add"),),
)


class ResNetC(Residual):
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
            branch, shortcut("C", in_channels, out_channels, stride, norm_name=norm_name, dims=dims), nn.ReLU()
        )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return ResNetC(basic_branch(4, 4, dims=dims), 4, 4, dims=dims), (2, 4, *[9] * dims)
