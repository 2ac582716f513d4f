"""Wide residual networks: few pre-activation blocks, k times as wide, with dropout between the convolutions.

    y = x + W2 dropout(relu(BN(W1 relu(BN(x)))))

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...); where channels or stride change, a 1x1 convolution of the
activated input.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all. The widths of WRN-d-k are 16, then 16k, 32k, 64k, with (d - 4) / 6 blocks a stage.
"""

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.blocks.preactivation import basic_branch, preactivation_block
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="wide",
    title="Wide ResNet",
    paper="Wide Residual Networks",
    year=2016,
    authors=("Sergey Zagoruyko", "Nikos Komodakis"),
    arxiv="1605.07146",
    section="2",
    equation="y = x + W2 dropout(relu(BN(W1 relu(BN(x)))))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels and any stride, by a 1x1 convolution of the activated input",
    fact="k times the width gives k^2 times the weights of the 3x3 convolutions",
)


def wide_block(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    dropout: float = 0.0,
    norm_name: NormName = "batch",
    dims: int = 2,
) -> nn.Module:
    """The basic wide block B(3,3), dropout between its convolutions."""
    branch = basic_branch(in_channels, out_channels, stride, norm_name=norm_name, dropout=dropout, dims=dims)
    return preactivation_block(branch, in_channels, out_channels, stride, norm_name=norm_name, dims=dims)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return wide_block(8, 8, dropout=0.3, dims=dims), (2, 8, *[9] * dims)
