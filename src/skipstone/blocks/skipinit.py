"""SkipInit: one scalar on the branch, at 0, in place of batch norm.

    y = x + alpha F(x),   alpha = 0 at the start, or any constant up to 1 / sqrt(number of blocks)

Batch norm makes deep residual networks trainable because it shrinks their branches at the start; so does this scalar.

Shapes: (N, C, H, ...) -> the branch's shape; with `example` the planner fits the shortcut.

Initialisation: alpha = 0.

How ours differs: not at all. ReZero is the same equation, found from signal propagation in deep networks of any kind.
"""

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="skipinit",
    title="SkipInit",
    paper="Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep Networks",
    year=2020,
    authors=("Soham De", "Samuel L. Smith"),
    arxiv="2002.10444",
    section="",
    equation="y = x + alpha F(x)",
    initialisation="alpha = 0, or at most 1 / sqrt(number of blocks)",
    shapes="equal shapes, or a shortcut from the planner",
    fact="at alpha = 0 the block returns its shortcut exactly, in float32 and bfloat16; one parameter a block",
    dims=(0, 1, 2, 3),
)


class SkipInit(Residual):
    """activation(shortcut(x) + alpha * branch(x)) around any branch, alpha a learned scalar."""

    def __init__(
        self,
        branch: nn.Module,
        alpha: float = 0.0,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, activation, example=example)
        self.alpha = nn.Parameter(torch.tensor(alpha))

    def merge(self, short: Tensor, main: Tensor) -> Tensor:
        return short + self.alpha * main


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branch = basic_branch(4, 4, norm_name="none", dims=dims) if dims else nn.Linear(4, 4)
    return SkipInit(branch), (2, 4, *[9] * dims)
