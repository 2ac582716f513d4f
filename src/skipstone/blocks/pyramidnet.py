"""Pyramidal residual networks: every block widens, its shortcut filled up with zero channels.

    y = pad(avgpool_s(x)) + BN(W2 relu(BN(W1 BN(x))))

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...), C_out >= C_in; shrinking channels raise `SizeError`.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: the average pooling rounds odd sizes up as the branch does. The widths grow by alpha over all blocks:
block k of n has floor(16 + alpha k / n) channels.
"""

from torch import nn

from skipstone.blocks.parts.layers import avg_pool, conv, norm
from skipstone.blocks.parts.residual import Residual, named_sequence
from skipstone.blocks.parts.steps import option_a
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="pyramidnet",
    title="PyramidNet",
    paper="Deep Pyramidal Residual Networks",
    year=2016,
    authors=("Dongyoon Han", "Jiwhan Kim", "Junmo Kim"),
    arxiv="1610.02915",
    section="2 and 3",
    equation="y = pad(avgpool_s(x)) + BN(W2 relu(BN(W1 BN(x))))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="channels may grow and any stride works; shrinking channels are refused",
    fact="the shortcut has no parameters and passes the pooled input through unchanged beside zero channels",
    skips=(DeclaredSkip("resample", "add"),),
)


def widths(num_blocks: int, alpha: int, start: int = 16) -> tuple[int, ...]:
    """The output channels of each block: floor(start + alpha k / n), k from 1."""
    return tuple(start + alpha * k // num_blocks for k in range(1, num_blocks + 1))


def pyramid_shortcut(in_channels: int, out_channels: int, stride: int = 1, *, dims: int = 2) -> nn.Module:
    """Average pooling by the stride, then zero channels after; no parameters."""
    pad = option_a(in_channels, out_channels, dims=dims)
    return nn.Sequential(avg_pool(stride, dims=dims), pad) if stride != 1 else pad


class PyramidNet(Residual):
    """pad(avgpool(x)) + branch(x) around any branch (N, C_in, H, ...) -> (N, C_out, ceil(H / stride), ...)."""

    def __init__(
        self, branch: nn.Module, in_channels: int, out_channels: int, stride: int = 1, *, dims: int = 2
    ) -> None:
        super().__init__(branch, pyramid_shortcut(in_channels, out_channels, stride, dims=dims))


def pyramid_block(in_channels: int, out_channels: int, stride: int = 1, *, dims: int = 2) -> nn.Module:
    """The basic block: BN - 3x3 - BN - ReLU - 3x3 - BN."""
    branch = named_sequence(
        norm1=norm(in_channels, dims=dims),
        conv1=conv(in_channels, out_channels, 3, stride, dims=dims),
        norm2=norm(out_channels, dims=dims),
        relu2=nn.ReLU(),
        conv2=conv(out_channels, out_channels, 3, dims=dims),
        norm3=norm(out_channels, dims=dims),
    )
    return PyramidNet(branch, in_channels, out_channels, stride, dims=dims)


def pyramid_bottleneck(width: int, in_channels: int, stride: int = 1, *, dims: int = 2) -> nn.Module:
    """The bottleneck: BN - 1x1 - BN - ReLU - 3x3 - BN - ReLU - 1x1 to 4 * width - BN."""
    out_channels = 4 * width
    branch = named_sequence(
        norm1=norm(in_channels, dims=dims),
        conv1=conv(in_channels, width, 1, dims=dims),
        norm2=norm(width, dims=dims),
        relu2=nn.ReLU(),
        conv2=conv(width, width, 3, stride, dims=dims),
        norm3=norm(width, dims=dims),
        relu3=nn.ReLU(),
        conv3=conv(width, out_channels, 1, dims=dims),
        norm4=norm(out_channels, dims=dims),
    )
    return PyramidNet(branch, in_channels, out_channels, stride, dims=dims)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return pyramid_block(4, 6, 2, dims=dims), (2, 4, *[9] * dims)
