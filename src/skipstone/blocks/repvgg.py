"""RepVGG: three parallel branches in training, folded into one 3x3 convolution for use.

    y = relu(BN(W3 x) + BN(W1 x) + BN(x))       BN(x) only at equal channels and stride 1

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...).

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all. `fold()` adds the three kernels, each scaled by its batch norm in evaluation mode, and
gives a convolution with bias and the ReLU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="repvgg",
    title="RepVGG",
    paper="RepVGG: Making VGG-style ConvNets Great Again",
    year=2021,
    authors=("Xiaohan Ding", "Xiangyu Zhang", "Ningning Ma", "Jungong Han", "Guiguang Ding", "Jian Sun"),
    arxiv="2101.03697",
    section="3",
    equation="y = relu(BN(W3 x) + BN(W1 x) + BN(x))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels and any stride; the identity branch only where nothing changes",
    fact="the folded block gives the same output in evaluation mode within 1e-12 in float64",
    skips=(DeclaredSkip("parallel", "add"), DeclaredSkip("norm", "add")),
)


class RepVGG(nn.Module):
    """relu(BN(3x3(x)) + BN(1x1(x)) + BN(x)): (N, C_in, H, ...) -> (N, C_out, ceil(H / stride), ...)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, *, dims: int = 2) -> None:
        super().__init__()
        self.dims, self.stride = dims, stride
        self.dense = _conv_norm(in_channels, out_channels, 3, stride, dims)
        self.point = _conv_norm(in_channels, out_channels, 1, stride, dims)
        self.identity = norm(out_channels, dims=dims) if in_channels == out_channels and stride == 1 else None
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        total = self.dense(x) + self.point(x)
        if self.identity is not None:
            total = total + self.identity(x)
        y: Tensor = self.activation(total)
        return y

    @torch.no_grad()
    def fold(self) -> nn.Sequential:
        """One 3x3 convolution with bias, and the ReLU: equal to this block in evaluation mode."""
        kernel, bias = fold_norm(self.dense.conv, self.dense.norm)
        point, point_bias = fold_norm(self.point.conv, self.point.norm)
        kernel, bias = kernel + F.pad(point, [1, 1] * self.dims), bias + point_bias
        if self.identity is not None:
            delta = torch.eye(kernel.shape[0], dtype=kernel.dtype, device=kernel.device)
            scale, shift = _scale_shift(self.identity)
            one = (delta * scale[:, None]).view(*delta.shape, *[1] * self.dims)
            kernel, bias = kernel + F.pad(one, [1, 1] * self.dims), bias + shift
        plain = conv(kernel.shape[1], kernel.shape[0], 3, self.stride, dims=self.dims, bias=True).to(kernel)
        plain.load_state_dict({"weight": kernel, "bias": bias})
        return nn.Sequential(plain, nn.ReLU())


def fold_norm(layer: nn.Module | Tensor, after: nn.Module | Tensor) -> tuple[Tensor, Tensor]:
    """Kernel and bias of the convolution that equals `layer` followed by batch norm `after` in evaluation mode."""
    assert isinstance(layer, nn.Module)
    assert isinstance(after, nn.Module)
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    scale, shift = _scale_shift(after)
    assert bias is None or isinstance(bias, Tensor)
    folded = weight * scale.view(-1, *[1] * (weight.dim() - 1))
    return folded, shift if bias is None else shift + scale * bias


def _scale_shift(after: nn.Module | Tensor) -> tuple[Tensor, Tensor]:
    """A batch norm in evaluation mode as scale * x + shift."""
    assert isinstance(after, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
    assert after.running_mean is not None
    assert after.running_var is not None
    scale = after.weight / torch.sqrt(after.running_var + after.eps)
    return scale, after.bias - after.running_mean * scale


def _conv_norm(in_channels: int, out_channels: int, kernel: int, stride: int, dims: int) -> nn.Sequential:
    return named_sequence(
        conv=conv(in_channels, out_channels, kernel, stride, dims=dims), norm=norm(out_channels, dims=dims)
    )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return RepVGG(4, 4, dims=dims), (2, 4, *[9] * dims)
