"""Zero-initialised last norm: every residual block starts as its shortcut.

    y = relu(S(x) + gamma BN(...)),   gamma = 0 at the start

Shapes: (N, C_in, H, ...) -> the branch's shape; with `example` the planner fits the shortcut.

Initialisation: the scale of the branch's last norm is 0, so the branch returns 0 and only that scale has a gradient in
the first step.

How ours differs: not at all; any branch may be given whose last layer with parameters is a norm with a scale.
"""

from torch import Tensor, nn

from skipstone.blocks.parts.residual import BranchError, Residual, basic_branch
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="zero_gamma",
    title="Zero-initialised residual branch",
    paper="Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
    year=2017,
    authors=(
        "Priya Goyal", "Piotr Dollár", "Ross Girshick", "Pieter Noordhuis", "Lukasz Wesolowski", "Aapo Kyrola",
        "Andrew Tulloch", "Yangqing Jia", "Kaiming He",
    ),
    arxiv="1706.02677",
    section="5.1",
    equation="y = relu(S(x) + gamma BN(...)), gamma = 0 at the start",
    initialisation="last norm's scale 0, all else as in ResNet",
    shapes="equal shapes, or a shortcut from the planner",
    fact="at initialisation y = relu(shortcut(x)) exactly, in float32 and bfloat16",
)  # fmt: skip


def zero_last_gamma_(branch: nn.Module) -> nn.Module:
    """Set the scale of the branch's last norm to zero and return that norm.

    Raises `BranchError` where the last layer with parameters is no norm, since the branch would not be zero then.
    """
    holders = [m for m in branch.modules() if any(True for _ in m.parameters(recurse=False))]
    last = holders[-1] if holders else None
    weight = getattr(last, "weight", None)
    if last is None or not isinstance(weight, Tensor) or weight.dim() != 1 or "Norm" not in type(last).__name__:
        raise BranchError(
            f"zero-gamma wants a branch whose last layer is a norm with a scale, not {type(last).__name__}"
        )
    nn.init.zeros_(weight)
    if isinstance(bias := getattr(last, "bias", None), Tensor):
        nn.init.zeros_(bias)
    return last


class ZeroGamma(Residual):
    """activation(shortcut(x) + branch(x)), the branch's last norm starting at scale 0."""

    def __init__(
        self,
        branch: nn.Module,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, nn.ReLU() if activation is None else activation, example=example)
        zero_last_gamma_(self.branch)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return ZeroGamma(basic_branch(4, 4, dims=dims)), (2, 4, *[9] * dims)
