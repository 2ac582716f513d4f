"""Dropout on the shortcut: statistically a constant scaling, kept as a diagnostic.

    y = D(x) + F(x)

In training D keeps an element with probability 1 - p and divides it by that, so that its mean is x.

Shapes: (N, C, H, ...) -> the branch's shape; with `example` the planner fits the shortcut.

Initialisation: the branch's own. The paper's p is 0.5.

How ours differs: the paper's dropout scales at test time where torch's scales in training: the same means.
"""

from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="dropout_shortcut",
    title="Dropout on the shortcut",
    paper="Identity Mappings in Deep Residual Networks",
    year=2016,
    authors=("Kaiming He", "Xiangyu Zhang", "Shaoqing Ren", "Jian Sun"),
    arxiv="1603.05027",
    section="3.1",
    equation="y = D(x) + F(x)",
    initialisation="the branch's own; p = 0.5",
    shapes="equal shapes, or a shortcut from the planner",
    fact="the mean over masks of the training output is x + F(x), the evaluation output",
    dims=(0, 1, 2, 3),
)


class DropoutShortcut(Residual):
    """activation(dropout(shortcut(x)) + branch(x)) around any branch."""

    def __init__(
        self,
        branch: nn.Module,
        p: float = 0.5,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, activation, example=example)
        self.dropout = nn.Dropout(p)

    def merge(self, short: Tensor, main: Tensor) -> Tensor:
        y: Tensor = self.dropout(short) + main
        return y


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branch = basic_branch(4, 4, dims=dims) if dims else nn.Linear(4, 4)
    return DropoutShortcut(branch), (2, 4, *[9] * dims)
