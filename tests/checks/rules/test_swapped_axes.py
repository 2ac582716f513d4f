"""What swapped-axes must find, and what it must leave alone."""

import pytest
from torch import nn

from networks import Attention, conv, mlp

MAP = (2, 8, 8, 8)


class UnreversedTranspose(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x):
        y = self.a(x.transpose(2, 3))
        return x + y


class ViewBackWrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = conv(8, 8)
        self.a = Attention(8)

    def forward(self, x):
        x = self.c(x)
        b, c, h, w = x.shape
        t = self.a(x.flatten(2).transpose(1, 2))
        return x + t.transpose(1, 2).reshape(b, c, w, h)


class ViewTokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Conv2d(3, 12, 4, 4)
        self.a = Attention(12)
        self.n = nn.LayerNorm(12)

    def forward(self, x):
        x = self.p(x)
        t = x.view(x.shape[0], -1, 12)
        return t + self.a(self.n(t))


class Axial(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Linear(8, 8)

    def forward(self, x):
        x = x + self.a(x)
        return x + self.b(x.transpose(2, 3)).transpose(2, 3)


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(16, 16)
        self.m = mlp()

    def forward(self, x):
        x = x + self.a(x.transpose(1, 2)).transpose(1, 2)
        return x + self.m(x)


FOUND = [
    (UnreversedTranspose, MAP),
    (ViewBackWrong, MAP),
    (ViewTokens, (2, 3, 16, 16)),
]
LEFT_ALONE = [
    (Axial, MAP),
    (Mixer, (2, 16, 16)),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"swapped-axes"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("swapped-axes.txt", text(found(kind, shape)[0]))


class ReshapedBehind(nn.Module):
    """A map reshaped to tokens behind a norm, an activation, a pool or a sum, with no permutation."""

    def __init__(self, step, right=False):
        super().__init__()
        self.conv, self.step, self.right = conv(8, 8), step, right
        self.norm, self.ff = nn.LayerNorm(8), mlp(8)

    def forward(self, x):
        x = self.step(self.conv(x))
        tokens = x.flatten(2).transpose(1, 2) if self.right else x.reshape(x.shape[0], -1, 8)
        return tokens + self.ff(self.norm(tokens))


@pytest.mark.parametrize("step", [nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1)])
def test_views_behind_other_steps(found, step):
    assert [f.rule for f in found(lambda: ReshapedBehind(step), (2, 8, 12, 12))] == ["swapped-axes"]
    assert found(lambda: ReshapedBehind(step, right=True), (2, 8, 12, 12)) == ()


class Viewed(nn.Module):
    """What a layer made, viewed or permuted, read by another layer."""

    def __init__(self, made, view, read):
        super().__init__()
        self.made, self.view, self.read = made, view, read

    def forward(self, x):
        return self.read(self.view(self.made(x)))


VIEWED = {
    "a map as channels last": (conv(3, 12), lambda x: x.view(2, 6, 10, 12), nn.Linear(12, 4), (2, 3, 6, 10)),
    "tokens as a map": (nn.Linear(5, 12), lambda x: x.reshape(2, 12, 6, 10), conv(12, 4), (2, 60, 5)),
    "steps as channels": (nn.Linear(5, 12), lambda x: x.view(2, 12, 40), nn.Conv1d(12, 4, 3), (2, 40, 5)),
    "an image with its colours last": (nn.Identity(), lambda x: x.view(2, 3, 6, 10), conv(3, 4), (2, 6, 10, 3)),
    "for attention": (conv(3, 12), lambda x: x.view(2, 60, 12),
                      nn.TransformerEncoderLayer(12, 2, 24, batch_first=True), (2, 3, 6, 10)),
}  # fmt: skip
RIGHT = {
    "a map as channels last": (conv(3, 12), lambda x: x.permute(0, 2, 3, 1), nn.Linear(12, 4), (2, 3, 6, 10)),
    "tokens as a map": (
        nn.Linear(5, 12), lambda x: x.transpose(1, 2).reshape(2, 12, 6, 10), conv(12, 4), (2, 60, 5),
    ),
    "columns as steps (CRNN, 1507.05717)": (
        conv(3, 12), lambda x: x.permute(0, 3, 1, 2).reshape(2, 10, 72), nn.Linear(72, 4), (2, 3, 6, 10),
    ),
    "rows of pixels": (conv(3, 12), lambda x: x.view(2, 72, 10), nn.Linear(10, 4), (2, 3, 6, 10)),
    "tokens as places": (nn.Linear(5, 12), lambda x: x.view(2, 6, 10, 12), nn.LayerNorm(12), (2, 60, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWED)
def test_views_in_place_of_permutations(found, name):
    *parts, shape = VIEWED[name]
    assert [f.rule for f in found(lambda: Viewed(*parts), shape)] == ["swapped-axes"]


@pytest.mark.parametrize("name", RIGHT)
def test_permutations_and_other_views(found, name):
    *parts, shape = RIGHT[name]
    assert found(lambda: Viewed(*parts), shape) == ()
