"""Hyper-connections (static): n parallel streams with learned mixing, read and written by every layer.

    H' = A_r^T H + B^T T(A_m^T H)       H the n streams, A_m (n), A_r (n, n), B (n) learned

The streams are kept across all blocks: `expand` before the first, `collapse` after the last. With n = 1 and all weights
1 it is the plain residual sum; collapsing inside every block would be that too, at any n.

Shapes: (N, n, C, H, ...) -> the same; T keeps (N, C, H, ...).

Initialisation: B = 1, A_r = I, A_m the (block index mod n)-th unit vector: at the start every stream is the plain
residual network's.

How ours differs: static weights only; the paper's dynamic ones are computed from the streams as well.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.residual import basic_branch
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="hyper_connections",
    title="Static hyper-connections",
    paper="Hyper-Connections",
    year=2024,
    authors=(
        "Defa Zhu", "Hongzhi Huang", "Zihao Huang", "Yutao Zeng", "Yunyao Mao", "Banggu Wu", "Qiyang Min", "Xun Zhou",
    ),
    arxiv="2409.19606",
    section="2",
    equation="H' = A_r^T H + B^T T(A_m^T H)",
    initialisation="B = 1, A_r = identity, A_m a unit vector",
    shapes="n copies of one shape",
    fact="n(n + 2) parameters a layer; at initialisation every stream is the plain residual network's, exactly",
    release=2,
    dims=(0, 1, 2, 3),
    skips=(DeclaredSkip("parallel", "add", 2),),
)  # fmt: skip


class HyperConnection(nn.Module):
    """One layer over n streams (N, n, C, ...), around any branch (N, C, ...) that keeps the shape."""

    def __init__(self, branch: nn.Module, num_streams: int = 4, index: int = 0) -> None:
        super().__init__()
        self.branch = branch
        self.read = nn.Parameter(torch.eye(num_streams)[index % num_streams].clone())
        self.mix = nn.Parameter(torch.eye(num_streams))
        self.write = nn.Parameter(torch.ones(num_streams))

    def forward(self, streams: Tensor) -> Tensor:
        made = self.branch(torch.einsum("m,bm...->b...", self.read, streams))
        mixed = torch.einsum("mn,bm...->bn...", self.mix, streams)
        return mixed + torch.einsum("n,b...->bn...", self.write, made)


def expand(x: Tensor, num_streams: int) -> Tensor:
    """(N, C, ...) -> (N, n, C, ...), n copies."""
    return x.unsqueeze(1).expand(-1, num_streams, *[-1] * (x.dim() - 1))


def collapse(streams: Tensor) -> Tensor:
    """(N, n, C, ...) -> (N, C, ...), the sum of the streams."""
    return streams.sum(dim=1)


class HyperConnected(nn.Module):
    """A chain of branches of one shape, joined by hyper-connections: expand, layer after layer, collapse."""

    def __init__(self, branches: Sequence[nn.Module], num_streams: int = 4) -> None:
        super().__init__()
        self.num_streams = num_streams
        self.layers = nn.Sequential(*(HyperConnection(b, num_streams, i) for i, b in enumerate(branches)))

    def forward(self, x: Tensor) -> Tensor:
        return collapse(self.layers(expand(x, self.num_streams)))


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    branches = [basic_branch(4, 4, dims=dims) if dims else nn.Linear(4, 4) for _ in range(2)]
    return HyperConnected(branches, 2), (2, 4, *[9] * dims)
