"""Res2Net: a hierarchy of small residual connections inside one block.

    y_1 = x_1,   y_2 = K_2(x_2),   y_i = K_i(x_i + y_{i-1}),   x = [x_1, ..., x_s]

stands in place of a bottleneck's 3x3 convolution; each K_i is a 3x3 convolution with norm and ReLU.

Shapes: (N, C, H, ...) -> (N, C, ceil(H / s), ...), C divisible by the scale s.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: with a stride the groups are not summed, since their sizes differ from the outputs', and x_1 is
average-pooled, as in the authors' code; there the part passed through is the last one, here as in the paper the first.
"""

from torch import Tensor, cat, nn

from skipstone.blocks.parts.layers import avg_pool, conv, norm
from skipstone.blocks.parts.residual import BranchError, Residual, named_sequence
from skipstone.blocks.parts.resnet import shortcut
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="res2net",
    title="Res2Net",
    paper="Res2Net: A New Multi-scale Backbone Architecture",
    year=2019,
    authors=(
        "Shang-Hua Gao", "Ming-Ming Cheng", "Kai Zhao", "Xin-Yu Zhang", "Ming-Hsuan Yang", "Philip Torr",
    ),
    arxiv="1904.01169",
    section="3",
    equation="y_1 = x_1, y_2 = K_2(x_2), y_i = K_i(x_i + y_{i-1})",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="inner channels divisible by the scale; shortcut B",
    fact="the first part passes unchanged, and part i depends on parts 2 to i alone",
    release=2,
)  # fmt: skip


class Hierarchy(nn.Module):
    """Res2Net's replacement for a 3x3 convolution: (N, channels, H, ...) -> (N, channels, ceil(H / stride), ...)."""

    def __init__(self, channels: int, scale: int = 4, stride: int = 1, *, dims: int = 2) -> None:
        super().__init__()
        if channels % scale:
            raise BranchError(f"a scale of {scale} must divide the inner channels, {channels}")
        width = channels // scale
        self.scale, self.stride = scale, stride
        self.layers = nn.ModuleList(
            named_sequence(conv=conv(width, width, 3, stride, dims=dims), norm=norm(width, dims=dims), relu=nn.ReLU())
            for _ in range(scale - 1)
        )
        self.pool = avg_pool(stride, dims=dims) if stride != 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        first, *parts = x.chunk(self.scale, dim=1)
        made: list[Tensor] = [self.pool(first)]
        for index, (part, layer) in enumerate(zip(parts, self.layers, strict=True)):
            hierarchical = index > 0 and self.stride == 1
            made.append(layer(part + made[-1] if hierarchical else part))
        return cat(made, dim=1)


def res2net_block(
    in_channels: int, out_channels: int, stride: int = 1, *, width: int, scale: int = 4, dims: int = 2
) -> Residual:
    """A bottleneck with `scale` parts of `width` channels inside: 26 and 4 in Res2Net-50 (26w x 4s), first stage."""
    inner = width * scale
    branch = named_sequence(
        conv1=conv(in_channels, inner, 1, dims=dims),
        norm1=norm(inner, dims=dims),
        relu1=nn.ReLU(),
        hierarchy=Hierarchy(inner, scale, stride, dims=dims),
        conv3=conv(inner, out_channels, 1, dims=dims),
        norm3=norm(out_channels, dims=dims),
    )
    return Residual(branch, shortcut("B", in_channels, out_channels, stride, dims=dims), nn.ReLU())


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return res2net_block(8, 8, width=2, scale=4, dims=dims), (2, 8, *[9] * dims)
