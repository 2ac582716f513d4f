"""Attention gates on a U-Net's long skips: the decoder says which positions of the encoder's map may pass.

    y = [alpha * e, d],   alpha = resize(sigmoid(psi relu(W_x e + W_g d)))

W_x, W_g and psi are 1x1 convolutions; alpha has one channel.

Shapes: e (N, C, H, ...), d (N, C', H', ...) -> (N, C + C', H, ...); any sizes, d being resized to e's before the gate.

Initialisation: He normal, biases 0; the gate begins near one half.

How ours differs: the paper strides W_x down to the gating signal's grid and resamples alpha up again; ours gates at the
encoder's own size with the decoder's map already resized, which needs no resampling of alpha and takes odd sizes.
"""

import torch
from torch import Tensor, cat, nn

from skipstone.blocks.parts.layers import conv, conv_transpose, max_pool
from skipstone.blocks.unet import FitName, fit
from skipstone.core.design import DeclaredSkip, Design
from skipstone.shapes.reconcile import Shape

DESIGN = Design(
    slug="attention_gate",
    title="Attention gate",
    paper="Attention U-Net: Learning Where to Look for the Pancreas",
    year=2018,
    authors=(
        "Ozan Oktay", "Jo Schlemper", "Loic Le Folgoc", "Matthew Lee", "Mattias Heinrich", "Kazunari Misawa",
        "Kensaku Mori", "Steven McDonagh", "Nils Y. Hammerla", "Bernhard Kainz", "Ben Glocker", "Daniel Rueckert",
    ),
    arxiv="1804.03999",
    section="2",
    equation="y = [alpha * e, d], alpha = sigmoid(psi relu(W_x e + W_g d))",
    initialisation="He normal, biases 0",
    shapes="any sizes and channels",
    fact="every gate lies strictly between 0 and 1; a gate held at 1 gives the plain U-Net skip",
    release=2,
    skips=(DeclaredSkip("score-bias", "add"), DeclaredSkip("gate", "mul"), DeclaredSkip("identity", "cat")),
)  # fmt: skip


class AttentionGate(nn.Module):
    """(e, d) -> alpha of shape (N, 1, H, ...), d having e's sizes."""

    def __init__(self, skip_channels: int, gate_channels: int, inner: int | None = None, *, dims: int = 2) -> None:
        super().__init__()
        inner = max(1, skip_channels // 2) if inner is None else inner
        self.from_skip = conv(skip_channels, inner, 1, dims=dims)
        self.from_gate = conv(gate_channels, inner, 1, dims=dims, bias=True)
        self.psi = conv(inner, 1, 1, dims=dims, bias=True)

    def forward(self, e: Tensor, d: Tensor) -> Tensor:
        return torch.sigmoid(self.psi(torch.relu(self.from_skip(e) + self.from_gate(d))))


class AttentionSkip(nn.Module):
    """[alpha * e, inner(e)] along the channels around any inner network that gives `inner_channels`."""

    def __init__(
        self, inner: nn.Module, channels: int, inner_channels: int, how: FitName = "pad", *, dims: int = 2
    ) -> None:
        super().__init__()
        self.inner = inner
        self.gate = AttentionGate(channels, inner_channels, dims=dims)
        self.how: FitName = how

    def forward(self, e: Tensor) -> Tensor:
        d = fit(self.inner(e), e, self.how)
        return cat((self.gate(e, d) * e, d), dim=1)


def example(dims: int = 2) -> tuple[nn.Module, Shape]:
    """A small block and the shape (N, C, ...) of an input for it."""
    inner = nn.Sequential(
        max_pool(2, dims=dims), conv(4, 8, dims=dims, bias=True), nn.ReLU(), conv_transpose(8, 4, dims=dims)
    )
    return AttentionSkip(inner, 4, 4, dims=dims), (2, 4, *[9] * dims)
