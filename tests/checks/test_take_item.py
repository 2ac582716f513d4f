"""A tuple that stands where a tensor is due: the repair takes one of its values where it was returned."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.checks import check

TOKENS, IMAGES = (2, 10, 8), (2, 3, 8, 8)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)

    def forward(self, x):
        return self.norm(x + self.attn(x, x, x))


class Stack(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.norm = kind(8, 8, batch_first=True), nn.LayerNorm(8)

    def forward(self, x):
        return x + self.norm(self.rnn(x))


class InARow(nn.Module):
    def __init__(self):
        super().__init__()
        self.branch = nn.Sequential(nn.Linear(8, 8), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 8))

    def forward(self, x):
        return x + self.branch(x)


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.pool = nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2, return_indices=True)

    def forward(self, x):
        return F.avg_pool2d(x, 2) + self.pool(self.conv(x))


class Largest(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        best = torch.max(self.conv(x), dim=1, keepdim=True)
        return x + best


class Experts(nn.Module):
    """A module of the user's that returns a loss beside its result."""

    def __init__(self, loss_first):
        super().__init__()
        self.linear, self.loss_first = nn.Linear(8, 8), loss_first

    def forward(self, x):
        y = self.linear(x)
        return (y.square().mean(), y) if self.loss_first else (y, y.square().mean())


class Mixed(nn.Module):
    def __init__(self, loss_first=False):
        super().__init__()
        self.experts = Experts(loss_first)

    def forward(self, x):
        return x + self.experts(x)


BROKEN = {
    "attention": (Encoder, TOKENS),
    "six layers": (lambda: nn.Sequential(*(Encoder() for _ in range(6))), TOKENS),
    "six in a loop": (lambda: Stack(nn.ModuleList(Encoder() for _ in range(6))), TOKENS),
    "lstm into a norm": (lambda: Recurrent(nn.LSTM), TOKENS),
    "gru into a norm": (lambda: Recurrent(nn.GRU), TOKENS),
    "gru in a row": (InARow, TOKENS),
    "pool": (Pooled, IMAGES),
    "max": (Largest, IMAGES),
    "loss beside it": (Mixed, TOKENS),
    "loss before it": (lambda: Mixed(loss_first=True), TOKENS),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_mended_network_runs(name):
    build, shape = BROKEN[name]
    model = build()
    (finding,) = check(model, shape, sizes=False).findings
    mended = finding.repairs[0].apply(model)
    out = mended(torch.randn(shape))
    out.sum().backward()
    assert out.shape[0] == 2
    assert finding.code == "SK111"


def test_the_value_of_the_inputs_shape_is_taken():
    model = Mixed(loss_first=True)
    repair = check(model, TOKENS, sizes=False).findings[0].repairs[0]
    x = torch.randn(TOKENS)
    assert "`[1]`" in repair.title
    assert torch.equal(repair.apply(model)(x), x + model.experts.linear(x))


def test_the_source_is_mended_at_the_call():
    diff = check(Encoder(), TOKENS, sizes=False).findings[0].repairs[0].diff()
    assert "+        return self.norm(x + self.attn(x, x, x)[0])" in diff


def test_in_a_container_of_torchs_the_words_tell_what_to_put_behind_it():
    repair = check(InARow(), TOKENS, sizes=False).findings[0].repairs[0]
    assert repair.diff() is None
    assert repair.suggestion == "behind nn.GRU branch.1 in branch: put a layer whose forward returns `x[0]`"


class Right(Encoder):
    def forward(self, x):
        seen, _ = self.attn(x, x, x)
        return self.norm(x + seen) + self.attn(x, x, x)


def test_a_call_that_is_taken_apart_stays():
    model = Right()
    repair = check(model, TOKENS, sizes=False).findings[0].repairs[0]
    assert len(repair.edits) == 1
    assert "seen, _ = self.attn(x, x, x)\n" in repair.diff()
