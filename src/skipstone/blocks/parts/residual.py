"""The residual sum and the branches that go into it."""

from collections import OrderedDict

from torch import Tensor, nn

from skipstone.blocks.parts.fitting import fitted_shortcut
from skipstone.blocks.parts.layers import NormName, conv, norm
from skipstone.core.errors import SkipstoneError
from skipstone.shapes.reconcile import Shape


class BranchError(SkipstoneError, ValueError):
    """A branch that the design cannot take. The text says what it needs."""


class Residual(nn.Module):
    """y = activation(shortcut(x) + branch(x)).

    `branch` is any module; `shortcut` any module or None for the identity, `activation` any module or None for none.
    With `example`, the shape (C, ...) of one input, the planner finds the shortcut where the branch changes the shape,
    one that fits at every size if there is one; `plan` names one of its plans.
    """

    def __init__(
        self,
        branch: nn.Module,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        example: Shape | None = None,
        plan: str = "auto",
    ) -> None:
        super().__init__()
        self.branch = branch
        if shortcut is None and example is not None:
            shortcut = fitted_shortcut(branch, example, plan)
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.activation = nn.Identity() if activation is None else activation

    def merge(self, short: Tensor, main: Tensor) -> Tensor:
        """What a design changes: how the two paths meet."""
        return main + short  # in this order: the sum takes the branch's memory format

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.merge(self.shortcut(x), self.branch(x)))
        return y


def basic_branch(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    norm_name: NormName = "batch",
    dropout: float = 0.0,
    groups: int = 1,
    dims: int = 2,
) -> nn.Sequential:
    """3x3 - norm - ReLU - (dropout) - 3x3 - norm: He et al. 2015, section 3.3. Biases only where no norm follows."""
    bias = norm_name == "none"
    return named_sequence(
        conv1=conv(in_channels, out_channels, 3, stride, dims=dims, groups=groups, bias=bias),
        norm1=norm(out_channels, norm_name, dims=dims),
        relu1=nn.ReLU(),
        dropout=nn.Dropout(dropout) if dropout else None,
        conv2=conv(out_channels, out_channels, 3, dims=dims, groups=groups, bias=bias),
        norm2=norm(out_channels, norm_name, dims=dims),
    )


def bottleneck_branch(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    width: int | None = None,
    groups: int = 1,
    norm_name: NormName = "batch",
    stride_first: bool = False,
    dims: int = 2,
) -> nn.Sequential:
    """1x1 - 3x3 - 1x1, each with norm, ReLU between; `width` channels inside, a quarter of `out_channels` by default.
    The stride sits on the 3x3 as in torchvision, or with `stride_first` on the first 1x1 as in the paper."""
    width = out_channels // 4 if width is None else width
    bias = norm_name == "none"
    first, second = (stride, 1) if stride_first else (1, stride)
    return named_sequence(
        conv1=conv(in_channels, width, 1, first, dims=dims, bias=bias),
        norm1=norm(width, norm_name, dims=dims),
        relu1=nn.ReLU(),
        conv2=conv(width, width, 3, second, dims=dims, groups=groups, bias=bias),
        norm2=norm(width, norm_name, dims=dims),
        relu2=nn.ReLU(),
        conv3=conv(width, out_channels, 1, dims=dims, bias=bias),
        norm3=norm(out_channels, norm_name, dims=dims),
    )


def named_sequence(**modules: nn.Module | None) -> nn.Sequential:
    """A sequence whose members have names; those that are None or nothing but an identity are left out."""
    kept = {k: m for k, m in modules.items() if m is not None and not isinstance(m, nn.Identity)}
    return nn.Sequential(OrderedDict(kept))
