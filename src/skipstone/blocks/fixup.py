"""Fixup: residual learning without normalisation, by initialisation and a few scalars.

    y = relu(S(x) + s W2(relu(W1(x + a) + b) + c) + d)            a, b, c, d scalar biases at 0, s a scalar at 1

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...); S is option A with the zeros after, so channels
may only grow.

Initialisation: the last convolution of each branch 0, the others He normal times L^(-1/(2m-2)) for L blocks of m
convolutions each. The classifier starts at 0 too, so in the first step only it has a gradient.

How ours differs: the shortcut takes x; in the authors' code one that changes the shape takes x + a.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv
from skipstone.blocks.parts.residual import BranchError
from skipstone.blocks.parts.steps import option_a
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="fixup",
    title="Fixup",
    paper="Fixup Initialization: Residual Learning Without Normalization",
    year=2019,
    authors=("Hongyi Zhang", "Yann N. Dauphin", "Tengyu Ma"),
    arxiv="1901.09321",
    section="",
    equation="y = relu(x + s W2(relu(W1(x + a) + b) + c) + d)",
    initialisation="last convolution 0, others He times L^(-1/(2m-2)); scalar biases 0, scalar 1",
    shapes="channels may grow and any stride works, by option A; shrinking channels are refused",
    fact="at initialisation y = x exactly for x >= 0, in float32 and bfloat16; 2m + 1 scalars a block",
)


class Fixup(nn.Module):
    """relu(shortcut(x) + scaled branch + bias) around any chain of two or more linear layers or convolutions.

    `layers` are the m layers of the branch, without biases; ReLU stands between them. `num_blocks` is L, the number of
    residual blocks in the whole network.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        num_blocks: int,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if len(layers) < 2:
            raise BranchError(f"Fixup's rule L^(-1/(2m-2)) needs a branch of m >= 2 layers, not {len(layers)}")
        self.layers = nn.ModuleList(layers)
        self.bias_before = nn.ParameterList(torch.zeros(()) for _ in layers)
        self.bias_after = nn.ParameterList(torch.zeros(()) for _ in layers)
        self.scale = nn.Parameter(torch.ones(()))
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.activation = nn.ReLU() if activation is None else activation
        fixup_(layers, num_blocks)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            y = layer(y + self.bias_before[index])
            y = y * self.scale if index == last else y
            y = y + self.bias_after[index]
            y = torch.relu(y) if index < last else y
        out: Tensor = self.activation(self.shortcut(x) + y)
        return out


def fixup_(layers: Sequence[nn.Module], num_blocks: int) -> None:
    """Initialise the m layers of one branch in a network of `num_blocks` blocks."""
    scale = num_blocks ** (-1 / (2 * len(layers) - 2))
    for layer in layers:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        if layer is layers[-1]:
            nn.init.zeros_(weight)
        else:
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
            with torch.no_grad():
                weight.mul_(scale)


def fixup_block(in_channels: int, out_channels: int, stride: int = 1, *, num_blocks: int, dims: int = 2) -> Fixup:
    """The basic block: two 3x3 convolutions and option A."""
    layers = [conv(in_channels, out_channels, 3, stride, dims=dims), conv(out_channels, out_channels, dims=dims)]
    return Fixup(layers, num_blocks, option_a(in_channels, out_channels, stride, dims=dims))


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return fixup_block(4, 4, num_blocks=3, dims=dims), (2, 4, *[9] * dims)
