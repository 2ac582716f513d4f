"""Dual path: some channels are added to, the others are concatenated to.

    [r, d] -> [r + F_r, d, F_d]       F = [F_r, F_d] one branch over all channels

the residual part reuses features, the dense part, growing by k a block, finds new ones.

Shapes: (N, r + d, H, ...) -> (N, r + d + k, ceil(H / s), ...). The first block of a stage projects its input by a 1x1
convolution with the stride to r + 2k channels.

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: the state is one tensor, residual channels first, instead of a pair.
"""

from torch import Tensor, cat, nn

from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="dual_path",
    title="Dual path network",
    paper="Dual Path Networks",
    year=2017,
    authors=("Yunpeng Chen", "Jianan Li", "Huaxin Xiao", "Xiaojie Jin", "Shuicheng Yan", "Jiashi Feng"),
    arxiv="1707.01629",
    section="4",
    equation="[r, d] -> [r + F_r, d, F_d]",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="equal sizes, or a strided 1x1 projection to r + 2k channels",
    fact="the first r channels are a residual sum, the next pass through unchanged, k are new",
    release=2,
    skips=(DeclaredSkip("resample", "add"),),
)


class DualPath(nn.Module):
    """Around any branch that gives r + k channels: r = `residual_channels` are added, the rest concatenated."""

    def __init__(self, branch: nn.Module, residual_channels: int, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.branch = branch
        self.residual_channels = residual_channels
        self.shortcut = nn.Identity() if shortcut is None else shortcut

    def forward(self, x: Tensor) -> Tensor:
        r = self.residual_channels
        short, new = self.shortcut(x), self.branch(x)
        return cat((short[:, :r] + new[:, :r], short[:, r:], new[:, r:]), dim=1)

    def extra_repr(self) -> str:
        return f"residual_channels={self.residual_channels}"


def dual_path_block(
    in_channels: int,
    residual_channels: int,
    growth: int,
    *,
    width: int,
    groups: int = 1,
    stride: int = 1,
    project: bool = False,
    dims: int = 2,
) -> DualPath:
    """The pre-activation bottleneck; `project` gives the first block of a stage."""
    branch = named_sequence(
        norm1=norm(in_channels, dims=dims),
        relu1=nn.ReLU(),
        conv1=conv(in_channels, width, 1, dims=dims),
        norm2=norm(width, dims=dims),
        relu2=nn.ReLU(),
        conv2=conv(width, width, 3, stride, dims=dims, groups=groups),
        norm3=norm(width, dims=dims),
        relu3=nn.ReLU(),
        conv3=conv(width, residual_channels + growth, 1, dims=dims),
    )
    if not project:
        return DualPath(branch, residual_channels)
    projection = named_sequence(
        norm=norm(in_channels, dims=dims),
        relu=nn.ReLU(),
        conv=conv(in_channels, residual_channels + 2 * growth, 1, stride, dims=dims),
    )
    return DualPath(branch, residual_channels, projection)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return dual_path_block(12, 8, 2, width=4, dims=dims), (2, 12, *[9] * dims)
