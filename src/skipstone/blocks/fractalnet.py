"""FractalNet: self-similar columns of every depth, joined by means, with no residual sum.

    f_1(x) = conv(x),   f_{C+1}(x) = mean(conv(x), f_C(f_C(x)))

where the last join of the inner f_C and the new one are a single mean over all columns that end there. A block of C
columns has 2^C - 1 layers, its longest path 2^(C-1).

Shapes: (N, C_in, H, ...) -> what a layer makes of it; all layers but those that read the block's input keep the shape.

Initialisation: the layers' own.

How ours differs: drop-path is local only: in training each input of a join is dropped with probability `drop`, at least
one is kept, and the mean is over those kept. The paper mixes that with dropping all columns but one.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv, norm
from skipstone.core.design import DeclaredSkip, Design
from skipstone.core.errors import SkipstoneError
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="fractalnet",
    title="FractalNet",
    paper="FractalNet: Ultra-Deep Neural Networks without Residuals",
    year=2016,
    authors=("Gustav Larsson", "Michael Maire", "Gregory Shakhnarovich"),
    arxiv="1605.07648",
    section="2",
    equation="f_{C+1}(x) = mean(conv(x), f_C(f_C(x)))",
    initialisation="the layers' own",
    shapes="inner layers keep the shape; pooling stands between blocks",
    fact="2^C - 1 layers a block, the longest path 2^(C-1); drop-path always keeps an input",
    release=2,
    skips=(DeclaredSkip("parallel", "add"),),
)


class Join(nn.Module):
    """The mean of its inputs; in training over those that drop-path keeps, one at least."""

    def __init__(self, drop: float = 0.0) -> None:
        super().__init__()
        if not 0 <= drop < 1:
            raise SkipstoneError(f"drop is a probability of at least 0 and below 1, not {drop}")
        self.drop = drop

    def forward(self, columns: Sequence[Tensor]) -> Tensor:
        if len(columns) == 1:
            return columns[0]
        if not self.training or self.drop == 0:
            total = columns[0]
            for column in columns[1:]:
                total = total + column
            return total / len(columns)
        weights = self.weights(len(columns), columns[0])
        total = weights[0] * columns[0]
        for index in range(1, len(columns)):
            total = total + weights[index] * columns[index]
        return total

    def weights(self, num: int, like: Tensor) -> Tensor:
        """(num,) weights that sum to 1: zero for what is dropped. One input, drawn at random, is never dropped."""
        kept = like.new_empty(num).bernoulli_(1 - self.drop)
        spared = torch.rand(num, device=like.device).argmax()
        kept = torch.where(torch.arange(num, device=like.device) == spared, torch.ones_like(kept), kept)
        return kept / kept.sum()

    def extra_repr(self) -> str:
        return f"drop={self.drop}"


class Fractal(nn.Module):
    """A block of `columns` columns. `layer(first)` makes a layer: `first` where it reads the block's own input."""

    def __init__(self, layer: Callable[[bool], nn.Module], columns: int, drop: float = 0.0) -> None:
        super().__init__()
        if columns < 1:
            raise SkipstoneError(f"a fractal block has at least one column, not {columns}")
        self.columns = _Columns(layer, columns, drop, first=True)
        self.join = Join(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.join(self.columns(x))
        return y


class _Columns(nn.Module):
    """f_C before its last join: the outputs of all columns, shallow ones first."""

    def __init__(self, layer: Callable[[bool], nn.Module], columns: int, drop: float, *, first: bool) -> None:
        super().__init__()
        self.layer = layer(first)
        self.upper: _Columns | None = None
        self.lower: _Columns | None = None
        if columns > 1:
            self.upper = _Columns(layer, columns - 1, drop, first=first)
            self.join = Join(drop)
            self.lower = _Columns(layer, columns - 1, drop, first=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        ends: list[Tensor] = [self.layer(x)]
        if self.upper is not None and self.lower is not None:
            ends += self.lower(self.join(self.upper(x)))
        return ends


def fractal_block(
    in_channels: int, out_channels: int, columns: int = 3, drop: float = 0.0, *, dims: int = 2
) -> Fractal:
    """Layers of 3x3 convolution, batch norm and ReLU."""

    def layer(first: bool) -> nn.Module:
        channels = in_channels if first else out_channels
        return nn.Sequential(conv(channels, out_channels, dims=dims), norm(out_channels, dims=dims), nn.ReLU())

    return Fractal(layer, columns, drop)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    return fractal_block(4, 4, 2, dims=dims), (2, 4, *[9] * dims)
