"""Stochastic depth: blocks are dropped at random in training and all used in evaluation.

    paper      training y = relu(b F(x) + x)         evaluation y = relu(p F(x) + x)
    inverted   training y = relu((b / p) F(x) + x)   evaluation y = relu(F(x) + x)         b ~ Bernoulli(p)

Both have the same mean over masks before the ReLU, at scales that differ by p; weights trained with one are wrong
for the other.

Shapes: (N, C, H, ...) -> the branch's shape; with `example` the planner fits the shortcut.

Initialisation: the branch's own. p falls linearly with depth, p_l = 1 - l / L (1 - p_L), p_L = 0.5 in the paper.

How ours differs: the scaling is named; the paper's is the default, while "drop path" elsewhere is `inverted`. With
`per="batch"` (the paper's) one draw decides for the whole batch and a dropped branch is not run at all, so its batch
statistics rest; `per="sample"` draws for each example, runs the branch always and compiles in one graph.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.residual import Residual, basic_branch
from skipstone.core.design import Design
from skipstone.core.errors import SkipstoneError, UnknownNameError
from skipstone.shapes.reconcile import Shape

Scaling = Literal["paper", "inverted"]
Per = Literal["batch", "sample"]

DESIGN = Design(
    slug="stochastic_depth",
    title="Stochastic depth",
    paper="Deep Networks with Stochastic Depth",
    year=2016,
    authors=("Gao Huang", "Yu Sun", "Zhuang Liu", "Daniel Sedra", "Kilian Q. Weinberger"),
    arxiv="1603.09382",
    section="3",
    equation="training y = relu(b F(x) + x), evaluation y = relu(p F(x) + x), b ~ Bernoulli(p)",
    initialisation="the branch's own; survival 1 to 0.5 with depth",
    shapes="equal shapes, or a shortcut from the planner",
    fact="for a linear block the mean of the training outputs is the evaluation output, in both scalings",
    dims=(0, 1, 2, 3),
)


def survival(block: int, num_blocks: int, last: float = 0.5) -> float:
    """The probability that block 1..num_blocks survives: 1 - l / L (1 - p_L)."""
    return 1 - block / num_blocks * (1 - last)


def keep_mask(x: Tensor, probability: float) -> Tensor:
    """One Bernoulli draw an example, shaped to multiply x of shape (N, ...)."""
    return x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(probability)


class StochasticDepth(Residual):
    """activation(shortcut(x) + b branch(x)) around any branch, b drawn in training with probability `survival`."""

    def __init__(
        self,
        branch: nn.Module,
        survival: float = 0.5,
        shortcut: nn.Module | None = None,
        activation: nn.Module | None = None,
        *,
        scaling: Scaling = "paper",
        per: Per = "batch",
        example: Shape | None = None,
    ) -> None:
        super().__init__(branch, shortcut, activation, example=example)
        if not 0 < survival <= 1:
            raise SkipstoneError(f"survival is a probability above 0 and at most 1, not {survival}")
        if scaling not in ("paper", "inverted"):
            raise UnknownNameError("scaling", scaling, ("paper", "inverted"))
        if per not in ("batch", "sample"):
            raise UnknownNameError("drawing", per, ("batch", "sample"))
        self.survival, self.scaling, self.per = survival, scaling, per

    def forward(self, x: Tensor) -> Tensor:
        short = self.shortcut(x)
        training = self.training and self.survival < 1
        if training and self.per == "batch":
            if torch.rand(()) < self.survival:
                return self._finish(short + self._factor() * self.branch(x))
            return self._finish(short)
        main = self.branch(x)
        if training:
            return self._finish(short + self._factor() * keep_mask(main, self.survival) * main)
        return self._finish(short + self._factor() * main)

    def _factor(self) -> float:
        """What multiplies a branch that is kept."""
        if self.training:
            return 1.0 if self.scaling == "paper" else 1 / self.survival
        return self.survival if self.scaling == "paper" else 1.0

    def _finish(self, total: Tensor) -> Tensor:
        y: Tensor = self.activation(total)
        return y

    def extra_repr(self) -> str:
        return f"survival={self.survival}, scaling={self.scaling}, per={self.per}"


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branch = basic_branch(4, 4, dims=dims) if dims else nn.Linear(4, 4)
    return StochasticDepth(branch, 0.8, activation=nn.ReLU()), (2, 4, *[9] * dims)
