"""A gated shortcut, the highway's gate put on a residual block: exclusive, or on the shortcut alone.

    exclusive        y = (1 - g) x + g F(x)
    shortcut only    y = (1 - g) x + F(x)           g = sigmoid(W_g x + b_g), W_g a 1x1 convolution

Shapes: (N, C, H, ...) -> the same.

Initialisation: b_g is the setting that decides; -6 by default, where the gate opens to 0.0025. The paper sweeps 0
to -7.

How ours differs: the paper has a ReLU after the sum; give it as `activation`. Later experiments by the highway authors
found gated networks no worse than residual ones, so read the paper's failures as its own settings'.
"""

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv
from skipstone.blocks.parts.residual import basic_branch
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="gated_shortcut",
    title="Gated shortcut",
    paper="Identity Mappings in Deep Residual Networks",
    year=2016,
    authors=("Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"),
    arxiv="1603.05027",
    section="3.1",
    equation="y = (1 - g) x + g F(x), g = sigmoid(W_g x + b_g)",
    initialisation="gate bias b_g = -6",
    shapes="branch and input must have one shape",
    fact="at b_g = -50 the exclusive block returns x and the shortcut-only block x + F(x)",
    skips=(DeclaredSkip("gate", "mul", 2), DeclaredSkip("identity", "add")),
)


class GatedShortcut(nn.Module):
    """(1 - g) x + g branch(x), or with `exclusive=False` (1 - g) x + branch(x), around any shape-keeping branch."""

    def __init__(
        self,
        branch: nn.Module,
        channels: int,
        *,
        gate_bias: float = -6.0,
        exclusive: bool = True,
        activation: nn.Module | None = None,
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.gate = conv(channels, channels, 1, dims=dims, bias=True)
        assert isinstance(self.gate.bias, Tensor)
        nn.init.constant_(self.gate.bias, gate_bias)
        self.exclusive = exclusive
        self.activation = nn.Identity() if activation is None else activation

    def forward(self, x: Tensor) -> Tensor:
        opened = torch.sigmoid(self.gate(x))
        main = self.branch(x)
        if self.exclusive:
            main = opened * main
        y: Tensor = self.activation((1 - opened) * x + main)
        return y


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return GatedShortcut(basic_branch(4, 4, dims=dims), 4, dims=dims), (2, 4, *[9] * dims)
