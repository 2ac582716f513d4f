"""LayerScale: a learned diagonal on the branch, starting small.

    y = x + diag(gamma) F(x),   gamma = eps at the start

Shapes: (N, C, H, ...) -> the branch's shape; `axis` says where the channels stand (1, or -1 for tokens).

Initialisation: gamma = eps; 1e-5 by default. Near the identity, not the identity: |y - x| <= eps |F(x)|. In bfloat16 a
branch at 1e-6 is rounded away whole and the block is dead until gamma grows: keep the stream in float32.

How ours differs: not at all.
"""

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="layer_scale",
    title="LayerScale",
    paper="Going Deeper with Image Transformers",
    year=2021,
    authors=("Hugo Touvron", "Matthieu Cord", "Alexandre Sablayrolles", "Gabriel Synnaeve", "Hervé Jégou"),
    arxiv="2103.17239",
    section="2",
    equation="y = x + diag(gamma) F(x)",
    initialisation="gamma = eps, 1e-5 by default",
    shapes="equal shapes, or a shortcut from the planner",
    fact="at initialisation |y - x| <= eps |F(x)|",
    dims=(0, 1, 2, 3),
)


class LayerScale(Residual):
    """activation(shortcut(x) + gamma * branch(x)) around any branch with `channels` outputs on `axis`."""

    def __init__(
        self,
        branch: nn.Module,
        channels: int,
        eps: float = 1e-5,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        axis: int = 1,
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, activation, example=example)
        self.gamma = nn.Parameter(torch.full((channels,), eps))
        self.axis = axis

    def merge(self, short: Tensor, main: Tensor) -> Tensor:
        after = main.dim() - 1 - self.axis % main.dim()
        return short + self.gamma.view(-1, *[1] * after) * main

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branch = basic_branch(4, 4, dims=dims) if dims else nn.Linear(4, 4)
    return LayerScale(branch, 4), (2, 4, *[9] * dims)
