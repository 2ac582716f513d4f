"""Highway layers: a learned gate mixes a transformation with its own input.

    y = T * H(x) + (1 - T) * x,   T = sigmoid(W_T x + b)

Shapes: (N, C, H, ...) -> the same; `dims=0` takes features (N, C). The branch H must keep the shape: where a network
changes it, the paper puts a plain layer.

Initialisation: b negative, so that a new layer carries its input; -1 to -3 are common and ours is -2, at which the gate
opens to 0.1192. A carry of 50 layers keeps 0.0018 of the input at b = -2 and 0.884 at b = -6.

How ours differs: the gate is a convolution with the kernel of your choice (3 by default), a linear layer for features.
"""

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="highway",
    title="Highway layer",
    paper="Highway Networks",
    year=2015,
    authors=("Rupesh Kumar Srivastava", "Klaus Greff", "Jürgen Schmidhuber"),
    arxiv="1505.00387",
    section="2",
    equation="y = T * H(x) + (1 - T) * x, T = sigmoid(W_T x + b)",
    initialisation="gate bias b = -2",
    shapes="branch and input must have one shape",
    fact="at b = -50 the layer returns its input, at b = +50 exactly the branch",
    dims=(0, 1, 2, 3),
    skips=(DeclaredSkip("gate", "mul", 2), DeclaredSkip("identity", "add")),
)


class Highway(nn.Module):
    """T * branch(x) + (1 - T) * x around any branch that keeps the shape (N, channels, ...)."""

    def __init__(
        self, branch: nn.Module, channels: int, *, gate_bias: float = -2.0, kernel: int = 3, dims: int = 2
    ) -> None:
        super().__init__()
        self.branch = branch
        self.gate = conv(channels, channels, kernel, dims=dims, bias=True) if dims else nn.Linear(channels, channels)
        assert isinstance(self.gate.bias, Tensor)
        nn.init.constant_(self.gate.bias, gate_bias)

    def forward(self, x: Tensor) -> Tensor:
        opened = torch.sigmoid(self.gate(x))
        y: Tensor = opened * self.branch(x) + (1 - opened) * x
        return y


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    layer = conv(4, 4, dims=dims, bias=True) if dims else nn.Linear(4, 4)
    return Highway(nn.Sequential(layer, nn.ReLU()), 4, dims=dims), (2, 4, *[9] * dims)
