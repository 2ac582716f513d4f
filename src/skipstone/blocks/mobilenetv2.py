"""Inverted residuals with linear bottlenecks: the skip joins the narrow ends.

    y = x + W3 relu6(dw3(relu6(W1 x)))       W1 widens t times, W3 narrows again, with no activation after it

each with batch norm. The skip is there only at stride 1 and equal channels; elsewhere the branch stands alone.

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...).

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all. At t = 1 the widening convolution is left out.
"""

from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="mobilenetv2",
    title="Inverted residual",
    paper="MobileNetV2: Inverted Residuals and Linear Bottlenecks",
    year=2018,
    authors=("Mark Sandler", "Andrew Howard", "Menglong Zhu", "Andrey Zhmoginov", "Liang-Chieh Chen"),
    arxiv="1801.04381",
    section="3",
    equation="y = x + W3 relu6(dw3(relu6(W1 x)))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="a skip only at stride 1 and equal channels",
    fact="there is a skip just at stride 1 and equal channels, and nothing after the sum: outputs go below 0",
)


class InvertedResidual(nn.Module):
    """x + narrow(depthwise(widen(x))), or the branch alone where the shape changes."""

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 1, *, expansion: int = 6, dims: int = 2
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        widen: dict[str, nn.Module] = {}
        if expansion != 1:
            widen = {
                "conv1": conv(in_channels, width, 1, dims=dims),
                "norm1": norm(width, dims=dims),
                "relu1": nn.ReLU6(),
            }
        self.branch = named_sequence(
            **widen,
            conv2=conv(width, width, 3, stride, dims=dims, groups=width),
            norm2=norm(width, dims=dims),
            relu2=nn.ReLU6(),
            conv3=conv(width, out_channels, 1, dims=dims),
            norm3=norm(out_channels, dims=dims),
        )
        self.skipped = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.branch(x)
        return x + y if self.skipped else y


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return InvertedResidual(4, 4, dims=dims), (2, 4, *[9] * dims)
