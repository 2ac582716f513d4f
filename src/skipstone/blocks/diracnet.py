"""Dirac parametrisation: the skip inside the weights, with no skip in the network.

    y = W * x,   W = diag(a) delta + diag(b) Ŵ,   delta * x = x,   Ŵ = each filter divided by its norm

A convolution whose weight starts near the identity's, so that deep plain networks train; folded, it is one convolution.

Shapes: (N, C, H, ...) -> the same: equal channels, odd kernel, stride 1.

Initialisation: a = 1, b = 0.1, W normal before its division.

How ours differs: not at all in the parametrisation; `fold()` gives the plain convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skipstone.blocks.parts.layers import check_dims, conv
from skipstone.blocks.parts.residual import BranchError
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}

DESIGN = Design(
    slug="diracnet",
    title="DiracNet",
    paper="DiracNets: Training Very Deep Neural Networks Without Skip-Connections",
    year=2017,
    authors=("Sergey Zagoruyko", "Nikos Komodakis"),
    arxiv="1706.00388",
    section="3",
    equation="y = (diag(a) delta + diag(b) Ŵ) * x",
    initialisation="a = 1, b = 0.1, W normal",
    shapes="equal channels, odd kernel, stride 1",
    fact="the folded convolution gives the same output within 1e-12 in float64; at b = 0 the layer is the identity",
    skips=(),
)


class Dirac(nn.Module):
    """A convolution of `channels` with the skip in its weight: (N, channels, ...) -> the same."""

    delta: Tensor

    def __init__(self, channels: int, kernel: int = 3, *, bias: bool = False, dims: int = 2) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise BranchError(f"the Dirac delta needs an odd kernel, which has a middle; not {kernel}")
        self.dims = check_dims(dims)
        self.weight = nn.Parameter(torch.randn(channels, channels, *[kernel] * dims))
        self.a = nn.Parameter(torch.ones(channels))
        self.b = nn.Parameter(torch.full((channels,), 0.1))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None
        delta = torch.zeros_like(self.weight)
        delta.view(channels, channels, -1)[:, :, kernel**dims // 2] = torch.eye(channels)
        self.register_buffer("delta", delta, persistent=False)

    def effective_weight(self) -> Tensor:
        """diag(a) delta + diag(b) Ŵ, of the weight's shape (C, C, k, ...)."""
        shape = (-1, *[1] * (self.dims + 1))
        unit = F.normalize(self.weight.flatten(1), dim=1).view_as(self.weight)
        return self.a.view(shape) * self.delta + self.b.view(shape) * unit

    def forward(self, x: Tensor) -> Tensor:
        return _CONV[self.dims](x, self.effective_weight(), self.bias, padding=self.weight.shape[-1] // 2)

    @torch.no_grad()
    def fold(self) -> nn.Module:
        """One plain convolution with the same output."""
        channels, kernel = self.weight.shape[0], self.weight.shape[-1]
        plain = conv(channels, channels, kernel, dims=self.dims, bias=self.bias is not None).to(self.weight)
        assert isinstance(plain.weight, Tensor)
        plain.weight.copy_(self.effective_weight())
        if self.bias is not None:
            assert isinstance(plain.bias, Tensor)
            plain.bias.copy_(self.bias)
        return plain


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return nn.Sequential(Dirac(4, dims=dims), nn.ReLU(), Dirac(4, dims=dims)), (2, 4, *[9] * dims)
