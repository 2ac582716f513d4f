"""Orthogonal residual update: only the part of the branch that the stream does not hold yet is added.

    y = x + F(x) - (<F(x), x> / (<x, x> + eps)) x

Shapes: (N, C, H, ...) -> the same. The products are over the channels of each position (`over="channels"`, default) or
over the whole example (`over="all"`).

Initialisation: the branch's own; eps = 1e-6.

How ours differs: not at all. The reported gain on CNNs is within two standard deviations; on a ViT it was larger.
"""

from typing import Literal

from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import DeclaredSkip, Design
from skipstone.core.errors import UnknownNameError
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="orthogonal_update",
    title="Orthogonal residual update",
    paper="Revisiting Residual Connections: Orthogonal Updates for Stable and Efficient Deep Networks",
    year=2025,
    authors=("Giyeong Oh", "Woohyun Cho", "Siyeol Kim", "Suhwan Choi", "Youngjae Yu"),
    arxiv="2505.11881",
    section="3",
    equation="y = x + F(x) - (<F(x), x> / (<x, x> + eps)) x",
    initialisation="the branch's own; eps = 1e-6",
    shapes="branch and input must have one shape",
    fact="the update is orthogonal to the stream",
    release=2,
    dims=(0, 1, 2, 3),
    skips=(DeclaredSkip("identity", "add"),),
)


def orthogonal_part(update: Tensor, stream: Tensor, over: str = "channels", eps: float = 1e-6) -> Tensor:
    """`update` less its component along `stream`, both (N, C, ...)."""
    axes = 1 if over == "channels" else tuple(range(1, stream.dim()))
    along = (update * stream).sum(axes, keepdim=True) / ((stream * stream).sum(axes, keepdim=True) + eps)
    return update - along * stream


class OrthogonalUpdate(Residual):
    """x + the part of branch(x) orthogonal to x, around any branch that keeps the shape."""

    def __init__(
        self,
        branch: nn.Module,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        over: Literal["channels", "all"] = "channels",
        eps: float = 1e-6,
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, activation, example=example)
        if over not in ("channels", "all"):
            raise UnknownNameError("range of the products", over, ("channels", "all"))
        self.over, self.eps = over, eps

    def merge(self, short: Tensor, main: Tensor) -> Tensor:
        return short + orthogonal_part(main, short, self.over, self.eps)

    def extra_repr(self) -> str:
        return f"over={self.over}, eps={self.eps:g}"


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branch = basic_branch(4, 4, dims=dims) if dims else nn.Linear(4, 4)
    return OrthogonalUpdate(branch), (2, 4, *[9] * dims)
