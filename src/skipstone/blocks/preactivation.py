"""Full pre-activation: norm and ReLU before each convolution, nothing after the sum.

    y = x + F(x),   F = W2 relu(BN(W1 relu(BN(x))))
    y = S(relu(BN(x))) + W2 relu(BN(W1 relu(BN(x))))      where the shape changes and S is a projection

As nothing follows the sum, x_L = x_l + the sum of the branches between, exactly.

Shapes: (N, C_in, H, ...) -> (N, C_out, ceil(H / s), ...).

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: a projection takes the activated input, as in the authors' line of code; `activated_shortcut=False`
projects the raw input, which other well-known code does (equal parameters, another function). Option A takes the raw
input. Projections have no norm of their own: the next block begins with one.
"""

from torch import Tensor, nn

from skipstone.blocks.parts.layers import NormName, conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.blocks.parts.resnet import SHORTCUTS, ShortcutName
from skipstone.blocks.parts.steps import option_a
from skipstone.core.design import Design
from skipstone.core.errors import UnknownNameError
from skipstone.shapes.reconcile import Layout, Shape

DESIGN = Design(
    slug="preactivation",
    title="Pre-activation ResNet",
    paper="Identity Mappings in Deep Residual Networks",
    year=2016,
    authors=("Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"),
    arxiv="1603.05027",
    section="2 and 4.1",
    equation="y = x + W2 relu(BN(W1 relu(BN(x))))",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="any channels and any stride, by a 1x1 convolution of the activated input or by option A",
    fact="through any number of equal-shape blocks x_L = x_l + the sum of all branches between",
)


class PreActivation(nn.Module):
    """y = shortcut + branch(relu(norm(x))).

    `branch` is any module that takes the activated input. `shortcut` None is the identity; otherwise it is given the
    activated input, or x itself with `activated_shortcut=False`.
    """

    def __init__(
        self,
        branch: nn.Module,
        channels: int,
        shortcut: nn.Module | None = None,
        *,
        activated_shortcut: bool = True,
        norm_name: NormName = "batch",
        dims: int = 2,
    ) -> None:
        super().__init__()
        self.preactivation = named_sequence(norm=norm(channels, norm_name, dims=dims), relu=nn.ReLU())
        self.branch = branch
        self.shortcut = nn.Identity() if shortcut is None else shortcut
        self.activated_shortcut = activated_shortcut and shortcut is not None

    def forward(self, x: Tensor) -> Tensor:
        active: Tensor = self.preactivation(x)
        y: Tensor = self.shortcut(active if self.activated_shortcut else x) + self.branch(active)
        return y


def preactivation_block(
    branch: nn.Module,
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    shortcut_name: ShortcutName = "B",
    layout: Layout = "after",
    activated_shortcut: bool = True,
    norm_name: NormName = "batch",
    dims: int = 2,
) -> nn.Module:
    """A branch with its norm and ReLU in front and its shortcut by name: A, B, C, or "none" for no skip at all."""
    same = in_channels == out_channels and stride == 1
    options = {"norm_name": norm_name, "dims": dims}
    if shortcut_name == "none":
        before = named_sequence(norm=norm(in_channels, norm_name, dims=dims), relu=nn.ReLU())
        return nn.Sequential(*before, branch)
    if shortcut_name == "A":
        path = option_a(in_channels, out_channels, stride, layout, dims=dims)
        return PreActivation(branch, in_channels, None if same else path, activated_shortcut=False, **options)  # type: ignore[arg-type]
    if shortcut_name not in ("B", "C"):
        raise UnknownNameError("pre-activation shortcut", shortcut_name, [s for s in SHORTCUTS if s != "D"])
    project = shortcut_name == "C" or not same
    path = conv(in_channels, out_channels, 1, stride, dims=dims, bias=norm_name == "none") if project else None  # type: ignore[assignment]
    return PreActivation(branch, in_channels, path, activated_shortcut=activated_shortcut, **options)  # type: ignore[arg-type]


def basic_branch(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    norm_name: NormName = "batch",
    dropout: float = 0.0,
    dims: int = 2,
) -> nn.Sequential:
    """3x3 - norm - ReLU - (dropout) - 3x3, for an input already activated."""
    bias = norm_name == "none"
    return named_sequence(
        conv1=conv(in_channels, out_channels, 3, stride, dims=dims, bias=bias),
        norm2=norm(out_channels, norm_name, dims=dims),
        relu2=nn.ReLU(),
        dropout=nn.Dropout(dropout) if dropout else None,
        conv2=conv(out_channels, out_channels, 3, dims=dims, bias=bias),
    )


def bottleneck_branch(
    in_channels: int,
    out_channels: int,
    stride: int = 1,
    *,
    width: int | None = None,
    norm_name: NormName = "batch",
    dims: int = 2,
) -> nn.Sequential:
    """1x1 - norm - ReLU - 3x3 with stride - norm - ReLU - 1x1, for an input already activated."""
    width = out_channels // 4 if width is None else width
    bias = norm_name == "none"
    return named_sequence(
        conv1=conv(in_channels, width, 1, dims=dims, bias=bias),
        norm2=norm(width, norm_name, dims=dims),
        relu2=nn.ReLU(),
        conv2=conv(width, width, 3, stride, dims=dims, bias=bias),
        norm3=norm(width, norm_name, dims=dims),
        relu3=nn.ReLU(),
        conv3=conv(width, out_channels, 1, dims=dims, bias=bias),
    )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return preactivation_block(basic_branch(4, 4, dims=dims), 4, 4, dims=dims), (2, 4, *[9] * dims)
