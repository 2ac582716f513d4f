"""ResNet-D: average pooling before the 1x1 projection, so that no position is thrown away.

    y = relu(F(x) + BN(W avgpool_s(x)))      where the shape changes

A 1x1 convolution with stride 2 reads a quarter of its input; pooled first it reads all of it. The pair equals a 2x2
convolution with stride 2 whose four taps are W / 4 each.

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...). The pooling rounds odd sizes up and counts real positions
only; without that, odd sizes end one short of the branch.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all. At stride 1 with new channels it is option B.
"""

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.blocks.parts.resnet import shortcut
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="resnet_d",
    title="ResNet-D",
    paper="Bag of Tricks for Image Classification with Convolutional Neural Networks",
    year=2018,
    authors=("Tong He", "Zhi Zhang", "Hang Zhang", "Zhongyue Zhang", "Junyuan Xie", "Mu Li"),
    arxiv="1812.01187",
    section="4.2",
    equation="y = relu(F(x) + BN(W avgpool_s(x)))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels and any stride, odd sizes too",
    fact="pooling then 1x1 equals one 2x2 convolution with stride 2 and tied taps W / 4",
    skips=(DeclaredSkip("projection", "add"),),
)


class ResNetD(Residual):
    """relu(branch(x) + BN(W avgpool(x))) around any branch (N, C_in, H, ...) -> (N, C_out, ceil(H / stride), ...)."""

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
            branch, shortcut("D", in_channels, out_channels, stride, norm_name=norm_name, dims=dims), nn.ReLU()
        )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return ResNetD(basic_branch(4, 8, 2, dims=dims), 4, 8, 2, dims=dims), (2, 4, *[9] * dims)
