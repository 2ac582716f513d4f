"""ReZero: every layer gated by one scalar that starts at zero.

    y = x + alpha F(x),   alpha = 0 at the start

The network begins as the identity, so all singular values of its Jacobian are 1 at any depth. In the first step the
branch's weights have no gradient and alpha has.

Shapes: (N, C, H, ...) -> the branch's shape; with `example` the planner fits the shortcut.

Initialisation: alpha = 0.

How ours differs: not at all. The paper leaves normalisation out; a branch may have it.
"""

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="rezero",
    title="ReZero",
    paper="ReZero is All You Need: Fast Convergence at Large Depth",
    year=2020,
    authors=(
        "Thomas Bachlechner", "Bodhisattwa Prasad Majumder", "Huanru Henry Mao", "Garrison W. Cottrell",
        "Julian McAuley",
    ),
    arxiv="2003.04887",
    section="3",
    equation="y = x + alpha F(x)",
    initialisation="alpha = 0",
    shapes="equal shapes, or a shortcut from the planner",
    fact="at initialisation output equals input exactly, in float32 and bfloat16, and the Jacobian is the identity",
    dims=(0, 1, 2, 3),
)  # fmt: skip


class ReZero(Residual):
    """activation(shortcut(x) + alpha * branch(x)) around any branch, alpha a learned scalar that starts at 0."""

    def __init__(
        self,
        branch: nn.Module,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, activation, example=example)
        self.alpha = nn.Parameter(torch.zeros(()))

    def merge(self, short: Tensor, main: Tensor) -> Tensor:
        return short + self.alpha * main


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branch = basic_branch(4, 4, norm_name="none", dims=dims) if dims else nn.Linear(4, 4)
    return ReZero(branch), (2, 4, *[9] * dims)
