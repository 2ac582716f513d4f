"""Normaliser-free residual networks: the variance is kept by bookkeeping and standardised weights.

    y = x + alpha F(x / beta),   beta^2 the variance of x predicted: beta^2 <- beta^2 + alpha^2 after each block

F keeps unit variance: its convolutions have each filter standardised to mean 0 and variance 1 / fan-in, and its ReLUs
the gain sqrt(2 / (1 - 1/pi)) = 1.7129. In the first block of a stage the projection takes x / beta too, and beta begins
again at sqrt(1 + alpha^2).

Shapes: (N, C, H, ...) -> the branch's shape, by a projection of the scaled input.

Initialisation: He normal, then standardised in every forward pass; a learned gain a filter, at 1.

How ours differs: code in circulation has 1.7139... for the gain, which is not that formula's value. The projection's
input is scaled but not activated unless the branch's first layer is given to both; the paper's learned scalar on the
branch is left to the user.
"""

from collections.abc import Sequence
from math import pi, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skipstone.blocks.parts.layers import check_dims
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

RELU_GAIN = sqrt(2 / (1 - 1 / pi))
_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}

DESIGN = Design(
    slug="nf_resnet",
    title="Normaliser-free ResNet",
    paper="Characterizing signal propagation to close the performance gap in unnormalized ResNets",
    year=2021,
    authors=("Andrew Brock", "Soham De", "Samuel L. Smith"),
    arxiv="2101.08692",
    section="",
    equation="y = x + alpha F(x / beta), beta^2 <- beta^2 + alpha^2",
    initialisation="He normal, standardised a filter; gains 1",
    shapes="equal shapes, or a projection of the scaled input",
    fact="every effective filter has mean 0 and variance 1 / fan-in; the gained ReLU of a unit normal has variance 1",
    release=2,
)


class StandardisedConv(nn.Module):
    """A convolution whose filters are standardised in every forward pass: mean 0, variance gain^2 / fan-in."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, *, groups: int = 1, dims: int = 2
    ) -> None:
        super().__init__()
        self.dims, self.stride, self.groups = check_dims(dims), stride, groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *[kernel] * dims))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.gain = nn.Parameter(torch.ones(out_channels))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def effective_weight(self) -> Tensor:
        flat = self.weight.flatten(1)
        variance, mean = torch.var_mean(flat, dim=1, correction=0, keepdim=True)
        scale = self.gain[:, None] * torch.rsqrt(torch.clamp(variance * flat.shape[1], min=1e-4))
        return ((flat - mean) * scale).view_as(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        padding = (self.weight.shape[-1] - 1) // 2
        weight = self.effective_weight()
        return _CONV[self.dims](x, weight, self.bias, self.stride, padding, groups=self.groups)

    def extra_repr(self) -> str:
        out_channels, in_channels, kernel = self.weight.shape[:3]
        return f"{in_channels * self.groups}, {out_channels}, {kernel}, stride={self.stride}"


class GainedReLU(nn.Module):
    """relu(x) * 1.7129: variance 1 for a unit normal input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) * RELU_GAIN


def betas(depths: Sequence[int], alpha: float = 0.2) -> tuple[tuple[float, ...], ...]:
    """The predicted standard deviation at the input of each block, stage by stage, `depths` blocks in each.

    The input of the first stage has variance 1. Each block adds alpha^2; the first block of a stage, whose shortcut
    takes x / beta, sets the variance back to 1 before that.
    """
    variance, stages = 1.0, []
    for depth in depths:
        stage = []
        for index in range(depth):
            stage.append(sqrt(variance))
            variance = (variance if index else 1.0) + alpha**2
        stages.append(tuple(stage))
    return tuple(stages)


class NormFree(nn.Module):
    """shortcut(x) + alpha * branch(x / beta) around any branch that keeps variance; a shortcut gets x / beta."""

    def __init__(
        self, branch: nn.Module, beta: float = 1.0, alpha: float = 0.2, shortcut: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.branch, self.shortcut = branch, shortcut
        self.beta, self.alpha = beta, alpha

    def forward(self, x: Tensor) -> Tensor:
        scaled = x / self.beta
        short = x if self.shortcut is None else self.shortcut(scaled)
        y: Tensor = short + self.alpha * self.branch(scaled)
        return y

    def extra_repr(self) -> str:
        return f"beta={self.beta:.4g}, alpha={self.alpha:.4g}"


def nf_branch(in_channels: int, out_channels: int, stride: int = 1, *, dims: int = 2) -> nn.Sequential:
    """Twice: gained ReLU, standardised 3x3 convolution."""
    return named_sequence(
        relu1=GainedReLU(),
        conv1=StandardisedConv(in_channels, out_channels, 3, stride, dims=dims),
        relu2=GainedReLU(),
        conv2=StandardisedConv(out_channels, out_channels, dims=dims),
    )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return NormFree(nf_branch(4, 4, dims=dims), betas([2])[0][1]), (2, 4, *[9] * dims)
