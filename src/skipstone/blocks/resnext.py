"""Aggregated transformations: the residual branch is a sum of many small paths of one form.

    y = relu(S(x) + sum_i T_i(x)),   T_i = 1x1 to d channels, 3x3, 1x1 back

computed as one bottleneck whose 3x3 convolution has as many groups as there are paths.

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...); shortcut B.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all. ResNeXt-50 (32x4d) has cardinality 32 and paths of 4 channels in its first stage.
"""

from torch import nn

from skipstone.blocks.parts.layers import NormName
from skipstone.blocks.parts.resnet import bottleneck_block
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="resnext",
    title="ResNeXt",
    paper="Aggregated Residual Transformations for Deep Neural Networks",
    year=2016,
    authors=("Saining Xie", "Ross Girshick", "Piotr Dollár", "Zhuowen Tu", "Kaiming He"),
    arxiv="1611.05431",
    section="3",
    equation="y = relu(S(x) + sum_i T_i(x))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels and any stride; the cardinality divides the inner width",
    fact="the grouped branch equals the sum of its separate paths",
)


def resnext_block(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    cardinality: int = 32,
    base_width: int = 4,
    norm_name: NormName = "batch",
    dims: int = 2,
) -> nn.Module:
    """A bottleneck of `cardinality` paths; `base_width` channels a path where the block has 256 outputs, and in
    proportion elsewhere."""
    width = out_channels // 4 * base_width // 64 * cardinality
    return bottleneck_block(
        in_channels, out_channels, stride, width=width, groups=cardinality, norm_name=norm_name, dims=dims
    )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return resnext_block(16, 16, cardinality=2, base_width=64, dims=dims), (2, 16, *[9] * dims)
