"""A shortcut scaled by a constant: the diagnostic that shows what an impeded identity costs.

    y = lambda x + mu F(x)

Through L blocks the direct path is scaled by lambda^L: 0.99^1000 is 4.3e-5.

Shapes: (N, C, H, ...) -> the branch's shape; with `example` the planner fits the shortcut.

Initialisation: the branch's own. The paper tried (lambda, mu) = (0.5, 1) and (0.5, 0.5).

How ours differs: the paper has a ReLU after the sum; give it as `activation`.
"""

from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="scaled_shortcut",
    title="Constant scaling of the shortcut",
    paper="Identity Mappings in Deep Residual Networks",
    year=2016,
    authors=("Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"),
    arxiv="1603.05027",
    section="3.1",
    equation="y = lambda x + mu F(x)",
    initialisation="the branch's own",
    shapes="equal shapes, or a shortcut from the planner",
    fact="with dead branches the gradient through L blocks is exactly lambda^L",
    dims=(0, 1, 2, 3),
)


class ScaledShortcut(Residual):
    """activation(scale * shortcut(x) + branch_scale * branch(x)) around any branch."""

    def __init__(
        self,
        branch: nn.Module,
        scale: float = 0.5,
        branch_scale: float = 1.0,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, activation, example=example)
        self.scale, self.branch_scale = scale, branch_scale

    def merge(self, short: Tensor, main: Tensor) -> Tensor:
        return self.scale * short + self.branch_scale * main

    def extra_repr(self) -> str:
        return f"scale={self.scale}, branch_scale={self.branch_scale}"


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branch = basic_branch(4, 4, dims=dims) if dims else nn.Linear(4, 4)
    return ScaledShortcut(branch), (2, 4, *[9] * dims)
