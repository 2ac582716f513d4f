"""Depth-weighted averages: after each block, a learned sum over all outputs so far.

    X_i = F_i(Y_{i-1}),   Y_i = sum_{j <= i} alpha_ij X_j,   X_0 = Y_0 the input

Shapes: one shape for all blocks, (N, C, H, ...) or (N, tokens, C).

Initialisation: alpha_ii = 1, all others 0: the network begins as the one without it.

How ours differs: the averages stand after every block; the paper also tries periods and dilations. d blocks take
d(d + 3)/2 weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="denseformer",
    title="Depth-weighted average",
    paper="DenseFormer: Enhancing Information Flow in Transformers via Depth Weighted Averaging",
    year=2024,
    authors=("Matteo Pagliardini", "Amirkeivan Mohtashami", "François Fleuret", "Martin Jaggi"),
    arxiv="2402.02622",
    section="3",
    equation="Y_i = sum_{j <= i} alpha_ij X_j, X_i = F_i(Y_{i-1})",
    initialisation="alpha_ii = 1, else 0",
    shapes="one shape for all blocks",
    fact="at initialisation the output is that of the blocks alone, exactly; d(d + 3)/2 weights for d blocks",
    release=2,
    dims=(0, 1, 2, 3),
    skips=(DeclaredSkip("identity", "add", 5),),
)


class DepthWeightedAverage(nn.Module):
    """Any blocks of one shape in a row, each followed by the weighted sum of the input and all outputs so far."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.weights = nn.ParameterList(torch.eye(i + 2)[-1].clone() for i in range(len(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        y = x
        for block, weights in zip(self.blocks, self.weights, strict=True):
            seen.append(block(y))
            y = weights[0] * seen[0]
            for index in range(1, len(seen)):
                y = y + weights[index] * seen[index]
        return y


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    blocks = [Residual(basic_branch(4, 4, dims=dims) if dims else nn.Linear(4, 4)) for _ in range(2)]
    return DepthWeightedAverage(blocks), (2, 4, *[9] * dims)
