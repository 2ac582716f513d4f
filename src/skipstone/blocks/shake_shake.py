"""Shake-Shake: two branches mixed at random, with other random weights in the backward pass.

    training    y = x + a F1(x) + (1 - a) F2(x), gradients as if a were b      a, b ~ U(0, 1) for each example
    evaluation  y = x + (F1(x) + F2(x)) / 2

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...). Where the size halves, the shortcut concatenates two 1x1
convolutions, one of x[::2] and one of x shifted by a position, then batch norm.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: the shifted path wants even sizes in the paper's code; ours fills an odd size's missing last position
with zero.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, cat, nn

from skipstone.blocks.parts.layers import check_dims, conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="shake_shake",
    title="Shake-Shake",
    paper="Shake-Shake regularization",
    year=2017,
    authors=("Xavier Gastaldi",),
    arxiv="1705.07485",
    section="",
    equation="y = x + a F1(x) + (1 - a) F2(x), a ~ U(0, 1)",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels; stride 1 or 2",
    fact="evaluation takes the mean of the branches; forward weights a and backward weights b are drawn apart",
    release=2,
)


def shake(first: Tensor, second: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
    """forward * first + (1 - forward) * second, whose gradient is that of the same sum with `backward`."""
    passed = backward * first + (1 - backward) * second
    shown = forward * first + (1 - forward) * second
    return passed + (shown - passed).detach()


class ShakeShake(nn.Module):
    """shortcut(x) + a branch1(x) + (1 - a) branch2(x) around any two branches of one shape."""

    def __init__(self, branches: Sequence[nn.Module], shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch1, self.branch2 = branches
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.branch1(x), self.branch2(x)
        if self.training:
            shape = (x.shape[0], *[1] * (first.dim() - 1))
            mixed = shake(first, second, x.new_empty(shape).uniform_(), x.new_empty(shape).uniform_())
        else:
            mixed = (first + second) / 2
        y: Tensor = self.shortcut(x) + mixed
        return y


class ShiftedProjection(nn.Module):
    """Halve the sizes: [1x1(x[::2]), 1x1(x shifted by one, [::2])], then batch norm."""

    def __init__(self, in_channels: int, out_channels: int, *, dims: int = 2) -> None:
        super().__init__()
        self.dims = check_dims(dims)
        self.straight = conv(in_channels, out_channels // 2, 1, dims=dims)
        self.shifted = conv(in_channels, out_channels - out_channels // 2, 1, dims=dims)
        self.norm = norm(out_channels, dims=dims)

    def forward(self, x: Tensor) -> Tensor:
        every_other = (slice(None), slice(None), *[slice(None, None, 2)] * self.dims)
        moved = F.pad(x, [-1, 1] * self.dims)
        y: Tensor = self.norm(cat((self.straight(x[every_other]), self.shifted(moved[every_other])), dim=1))
        return y


def _branch(in_channels: int, out_channels: int, stride: int, dims: int) -> nn.Sequential:
    return named_sequence(
        relu1=nn.ReLU(),
        conv1=conv(in_channels, out_channels, 3, stride, dims=dims),
        norm1=norm(out_channels, dims=dims),
        relu2=nn.ReLU(),
        conv2=conv(out_channels, out_channels, dims=dims),
        norm2=norm(out_channels, dims=dims),
    )


def shake_block(in_channels: int, out_channels: int, stride: int = 1, *, dims: int = 2) -> ShakeShake:
    """Two branches of ReLU - 3x3 - norm - ReLU - 3x3 - norm; projections where channels or size change."""
    path: nn.Module | None = None
    if stride == 2:
        path = nn.Sequential(nn.ReLU(), ShiftedProjection(in_channels, out_channels, dims=dims))
    elif in_channels != out_channels:
        path = nn.Sequential(conv(in_channels, out_channels, 1, dims=dims), norm(out_channels, dims=dims))
    return ShakeShake([_branch(in_channels, out_channels, stride, dims) for _ in range(2)], path)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return shake_block(4, 4, dims=dims), (2, 4, *[9] * dims)
