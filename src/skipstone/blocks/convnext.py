"""ConvNeXt block: depthwise 7x7, layer norm, an inverted bottleneck of two linear layers, LayerScale.

    y = x + diag(gamma) W2 gelu(W1 LN(dw7(x)))

Shapes: (N, C, H, ...) -> the same. Between stages stand a layer norm and a 2x2 convolution with stride
2, without skip.

Initialisation: truncated normal with standard deviation 0.02, biases 0, gamma = 1e-6.

How ours differs: stochastic depth (`survival`) is in the inverted scaling, as in the authors' code.
"""

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.layers import ChannelNorm, conv, per_channel
from skipstone.blocks.stochastic_depth import keep_mask
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="convnext",
    title="ConvNeXt",
    paper="A ConvNet for the 2020s",
    year=2022,
    authors=("Zhuang Liu", "Hanzi Mao", "Chao-Yuan Wu", "Christoph Feichtenhofer", "Trevor Darrell", "Saining Xie"),
    arxiv="2201.03545",
    section="2",
    equation="y = x + diag(gamma) W2 gelu(W1 LN(dw7(x)))",
    initialisation="truncated normal 0.02, gamma = 1e-6",
    shapes="one shape; stages are joined without skip",
    fact="at initialisation |y - x| <= 1e-6 |F(x)|; a block has 8 C^2 + C (k^2 + 9) parameters at kernel k, 2-D",
)


class ConvNeXt(nn.Module):
    """x + gamma * linear(gelu(linear(LN(depthwise(x))))): (N, channels, ...) -> the same."""

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-6,
        kernel: int = 7,
        expansion: int = 4,
        survival: float = 1.0,
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), eps))
        self.depthwise = conv(channels, channels, kernel, dims=dims, groups=channels, bias=True)
        self.norm = nn.LayerNorm(channels, 1e-6)
        self.linear1 = nn.Linear(channels, expansion * channels)
        self.gelu = nn.GELU()
        self.linear2 = nn.Linear(expansion * channels, channels)
        self.survival = survival
        for layer in (self.depthwise, self.linear1, self.linear2):
            assert isinstance(layer.weight, Tensor)
            assert isinstance(layer.bias, Tensor)
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.depthwise(x).movedim(1, -1))
        y = self.linear2(self.gelu(self.linear1(y))).movedim(-1, 1)
        y = per_channel(self.gamma, y) * y
        if self.training and self.survival < 1:
            y = y * keep_mask(y, self.survival) / self.survival
        return x + y


def downsample(in_channels: int, out_channels: int, *, dims: int = 2) -> nn.Sequential:
    """Between stages: layer norm, then a 2x2 convolution with stride 2."""
    halve = conv(in_channels, out_channels, 2, 2, dims=dims, bias=True, padding=0)
    return nn.Sequential(ChannelNorm(in_channels), halve)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return ConvNeXt(4, kernel=3, dims=dims), (2, 4, *[9] * dims)
