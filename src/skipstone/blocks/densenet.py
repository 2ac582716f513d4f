"""Dense connectivity: every layer reads the concatenation of all before it in its block.

    x_l = [x_{l-1}, H_l(x_{l-1})],   H = 3x3(relu(BN(.)))                            k new channels a layer
                                     H = 3x3(relu(BN(1x1(relu(BN(.))))))             with bottleneck ("B"), 4k inside
    transition: avgpool2(1x1(relu(BN(x)))), channels times theta ("C" for theta < 1)

After l layers a block that began with k0 channels has k0 + l k.

Shapes: (N, C, H, ...) -> (N, C + k, H, ...): the branch must keep the sizes. A transition gives
(N, floor(theta C), floor(H / 2), ...).

Initialisation: He normal, fan-out; batch norm scale 1, shift 0.

How ours differs: not at all. `Dense(branch)` makes the same connection around any branch.
"""

from torch import Tensor, cat, nn

from skipstone.blocks.parts.fitting import fitted_shortcut
from skipstone.blocks.parts.layers import NormName, avg_pool, conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="densenet",
    title="DenseNet",
    paper="Densely Connected Convolutional Networks",
    year=2016,
    authors=("Gao Huang", "Zhuang Liu", "Laurens van der Maaten", "Kilian Q. Weinberger"),
    arxiv="1608.06993",
    section="3",
    equation="x_l = [x_{l-1}, H_l(x_{l-1})]",
    initialisation="He normal, fan-out; batch norm 1 and 0",
    shapes="equal sizes, any channels; transitions change the size between blocks",
    fact="channels grow as k0 + l k: 16, 160, 304, 448 over three blocks of 12 layers with k = 12",
    skips=(DeclaredSkip("identity", "cat", 3),),
)


class Dense(nn.Module):
    """y = [x, branch(x)] along the channels, around any branch.

    Where the branch changes the sizes, `example`, the shape (C, ...) of one input, lets the planner resample x.
    """

    def __init__(self, branch: nn.Module, *, example: Shape | None = None, plan: str = "auto") -> None:
        super().__init__()
        self.branch = branch
        self.shortcut: nn.Module = nn.Identity()
        if example is not None:
            self.shortcut = fitted_shortcut(branch, example, plan, keep_channels=True)

    def forward(self, x: Tensor) -> Tensor:
        return cat((self.shortcut(x), self.branch(x)), dim=1)


def dense_branch(
    in_channels: int,
    growth: int,
    *,
    bottleneck: bool = False,
    dropout: float = 0.0,
    norm_name: NormName = "batch",
    dims: int = 2,
) -> nn.Sequential:
    """norm - ReLU - 3x3 to `growth` channels; with `bottleneck` a 1x1 to 4 * growth before it."""
    bias = norm_name == "none"
    inner = 4 * growth if bottleneck else in_channels
    first: dict[str, nn.Module] = {}
    if bottleneck:
        first = {
            "norm1": norm(in_channels, norm_name, dims=dims),
            "relu1": nn.ReLU(),
            "conv1": conv(in_channels, inner, 1, dims=dims, bias=bias),
        }
    return named_sequence(
        **first,
        norm2=norm(inner, norm_name, dims=dims),
        relu2=nn.ReLU(),
        conv2=conv(inner, growth, 3, dims=dims, bias=bias),
        dropout=nn.Dropout(dropout) if dropout else None,
    )


def dense_block(
    in_channels: int,
    growth: int,
    num_layers: int,
    *,
    bottleneck: bool = False,
    dropout: float = 0.0,
    norm_name: NormName = "batch",
    dims: int = 2,
) -> nn.Sequential:
    """`num_layers` dense layers; the result has in_channels + num_layers * growth channels."""
    layers: list[nn.Module] = []
    for index in range(num_layers):
        options = {"bottleneck": bottleneck, "dropout": dropout, "norm_name": norm_name, "dims": dims}
        layers.append(Dense(dense_branch(in_channels + index * growth, growth, **options)))  # type: ignore[arg-type]
    return nn.Sequential(*layers)


def transition(
    in_channels: int, compression: float = 1.0, *, norm_name: NormName = "batch", dims: int = 2
) -> nn.Sequential:
    """norm - ReLU - 1x1 - 2x2 average pooling; channels become floor(compression * in_channels)."""
    out_channels = int(in_channels * compression)
    return named_sequence(
        norm=norm(in_channels, norm_name, dims=dims),
        relu=nn.ReLU(),
        conv=conv(in_channels, out_channels, 1, dims=dims, bias=norm_name == "none"),
        pool=avg_pool(2, round_up=False, dims=dims),
    )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return dense_block(8, 4, 3, bottleneck=True, dims=dims), (2, 8, *[9] * dims)
