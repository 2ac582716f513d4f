"""Reversible residual blocks: activations are computed back from the output, so none need be stored.

    y1 = x1 + F(x2),   y2 = x2 + G(y1)          x1, x2 the halves of the channels
    x2 = y2 - G(y1),   x1 = y1 - F(x2)

Shapes: (N, C, H, ...) -> the same, C even; F and G keep (N, C/2, H, ...). Stride and new channels need a block that is
not reversible between the stages.

Initialisation: the branches' own.

How ours differs: a `ReversibleSequence` frees its activations in training: it stores its last output, and the backward
pass inverts block after block, so that memory does not grow with depth. Batch statistics are updated once and dropout
masks are drawn again from the stored generator state. Floating point makes the inverse approximate: 1e-4 after 50
blocks in float32. In half precision prefer `free_activations=False`, which `torch.compile(fullgraph=True)` needs too.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from skipstone.blocks.parts.layers import conv, norm
from skipstone.blocks.parts.residual import named_sequence
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="revnet",
    title="RevNet",
    paper="The Reversible Residual Network: Backpropagation Without Storing Activations",
    year=2017,
    authors=("Aidan N. Gomez", "Mengye Ren", "Raquel Urtasun", "Roger B. Grosse"),
    arxiv="1707.04585",
    section="3",
    equation="y1 = x1 + F(x2), y2 = x2 + G(y1)",
    initialisation="the branches' own",
    shapes="even channels, stride 1, one shape",
    fact="the inverse returns the input, its gradients are those of stored activations, memory is constant in depth",
    dims=(0, 1, 2, 3),
    # one of each stream, and the streams joined
    skips=(DeclaredSkip("identity", "add", 2), DeclaredSkip("parallel", "cat")),
)


class Reversible(nn.Module):
    """One reversible block around any two branches that keep (N, C/2, ...)."""

    def __init__(self, branch_f: nn.Module, branch_g: nn.Module) -> None:
        super().__init__()
        self.branch_f, self.branch_g = branch_f, branch_g

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        y1 = x1 + self.branch_f(x2)
        y2 = x2 + self.branch_g(y1)
        return torch.cat((y1, y2), dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """The input that gave y, up to rounding; in evaluation mode, or with branches free of randomness."""
        y1, y2 = y.chunk(2, dim=1)
        x2 = y2 - self.branch_g(y1)
        x1 = y1 - self.branch_f(x2)
        return torch.cat((x1, x2), dim=1)


class ReversibleSequence(nn.Module):
    """Reversible blocks one after another; in training their activations are freed and computed back.

    `free_activations=False` stores them as torch does otherwise: faster, exact, memory growing with depth. Gradients of
    gradients need that too.
    """

    def __init__(self, blocks: Sequence[Reversible], *, free_activations: bool = True) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.free_activations = free_activations

    def forward(self, x: Tensor) -> Tensor:
        if self.free_activations and torch.is_grad_enabled():
            y: Tensor = _Freed.apply(x, self, *self.parameters())  # type: ignore[no-untyped-call]
            return y
        for block in self.blocks:
            x = block(x)
        return x

    def inverse(self, y: Tensor) -> Tensor:
        for block in reversed(self.blocks):
            assert isinstance(block, Reversible)
            y = block.inverse(y)
        return y


_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class _Freed(torch.autograd.Function):
    """A reversible sequence that keeps its output alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sequence: ReversibleSequence, *parameters: Tensor) -> Tensor:
        ctx.sequence, ctx.parameters, ctx.random = sequence, parameters, []
        ctx.autocast = torch.is_autocast_enabled(x.device.type), torch.get_autocast_dtype(x.device.type)
        draws = any(isinstance(m, _DROPOUTS) and m.p > 0 for m in sequence.modules())
        y = x
        for block in sequence.blocks:
            ctx.random.append(_random_state(x) if draws and sequence.training else None)
            y = block(y)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = ctx.saved_tensors
        total: dict[Tensor, Tensor] = {}
        enabled, dtype = ctx.autocast
        with torch.autocast(y.device.type, dtype=dtype, enabled=enabled), _resting_statistics(ctx.sequence):
            for block, state in zip(reversed(ctx.sequence.blocks), reversed(ctx.random), strict=True):
                y, grad = _back_through(block, y, grad, state, total)
        return grad, None, *(total.get(parameter) for parameter in ctx.parameters)


def _back_through(
    block: Reversible, y: Tensor, grad: Tensor, state: "_State | None", total: dict[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The block's input and the gradient there, from its output and the gradient there; weights' gradients into
    `total`."""
    y1, y2 = (half.detach() for half in y.chunk(2, dim=1))
    grad1, grad2 = grad.chunk(2, dim=1)
    if state is not None:  # F drew before G did: run it once to bring the generator to where G began
        with _replayed(state, y), torch.no_grad():
            block.branch_f(y2)
            after_f = _random_state(y)
    else:
        after_f = None
    with _replayed(after_f, y):
        made_g, into_g = _pull(block.branch_g, y1, grad2, total)
    x2 = y2 - made_g
    grad1 = grad1 + into_g
    with _replayed(state, y):
        made_f, into_f = _pull(block.branch_f, x2, grad1, total)
    x1 = y1 - made_f
    return torch.cat((x1, x2), dim=1), torch.cat((grad1, grad2 + into_f), dim=1)


def _pull(branch: nn.Module, x: Tensor, grad: Tensor, total: dict[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Run a branch again: its output, and the gradient at its input for `grad` at its output."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        made: Tensor = branch(x)
    if not made.requires_grad:
        return made, torch.zeros_like(x)
    wanted = [x, *(p for p in branch.parameters() if p.requires_grad)]
    found = torch.autograd.grad(made, wanted, grad.to(made.dtype), allow_unused=True)
    for parameter, part in zip(wanted[1:], found[1:], strict=True):
        if part is not None:
            total[parameter] = total[parameter] + part if parameter in total else part
    return made.detach(), torch.zeros_like(x) if found[0] is None else found[0]


@contextmanager
def _resting_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms in training use the batch's statistics and leave their running ones alone: the forward pass has
    updated them already."""
    norms: list[Any] = [m for m in module.modules() if m.training and hasattr(m, "track_running_stats")]
    tracked = [m.track_running_stats for m in norms]
    for one in norms:
        one.track_running_stats = False
    try:
        yield
    finally:
        for one, before in zip(norms, tracked, strict=True):
            one.track_running_stats = before


_State = tuple[Tensor, Tensor | None]


def _random_state(like: Tensor) -> _State:
    return torch.get_rng_state(), torch.cuda.get_rng_state(like.device) if like.is_cuda else None


@contextmanager
def _replayed(state: _State | None, like: Tensor) -> Iterator[None]:
    """Set the generators back to `state`, and after that to where they stood."""
    if state is None:
        yield
        return
    with torch.random.fork_rng([like.device] if like.is_cuda else []):
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1], like.device)
        yield


def reversible_block(channels: int, *, dims: int = 2) -> Reversible:
    """Pre-activation branches of two 3x3 convolutions each on half the channels."""
    return Reversible(*(_branch(channels // 2, dims) for _ in range(2)))


def _branch(channels: int, dims: int) -> nn.Sequential:
    return named_sequence(
        norm1=norm(channels, dims=dims),
        relu1=nn.ReLU(),
        conv1=conv(channels, channels, dims=dims),
        norm2=norm(channels, dims=dims),
        relu2=nn.ReLU(),
        conv2=conv(channels, channels, dims=dims),
    )


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    if dims == 0:
        return Reversible(nn.Linear(4, 4), nn.Linear(4, 4)), (2, 8)
    return reversible_block(8, dims=dims), (2, 8, *[9] * dims)
