"""Modules with weights that nothing calls, and the many ways to use one without calling it."""

import pytest
import torch
from torch import nn

from skipstone.checks import check
from skipstone.checks.text import finding_text

SHAPE = (2, 5, 8)


class Layer(nn.Module):
    """Norms that are declared and forgotten."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.fc = nn.Linear(8, 8)

    def forward(self, x):
        return x + self.fc(x)


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.layers = nn.ModuleList(Layer() for _ in range(2))

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        return x


class WholePart(nn.Module):
    """A part of several layers is told once."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.decoder = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        nn.init.zeros_(self.decoder[0].weight)

    def forward(self, x):
        return self.fc(x)


class Attention(nn.Module):
    """Its `out_proj` is read, not called."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


class Weights(nn.Module):
    """A layer of its own whose weight is read."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(8, 8)

    def forward(self, x):
        return x @ self.table.weight.t()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.embed(x)


class HeadInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.extra = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return (self.fc(x), self.extra(x)) if self.training else self.fc(x)


class OtherMethod(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.project = nn.Linear(8, 8), nn.Linear(8, 8)

    def embed(self, x):
        return self.project(x)

    def forward(self, x):
        return self.fc(x)


class Condition(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)
        self.normed = False

    def forward(self, x):
        x = self.norm(x) if self.normed else x
        return self.fc(x)


class ByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 8), nn.Linear(8, 8)
        self.depth = 1

    def forward(self, x):
        for number in range(self.depth):
            x = getattr(self, f"fc{number + 1}")(x)
        return x


class Parent(nn.Module):
    """Another class's code calls the layer of its part."""

    def __init__(self):
        super().__init__()
        self.part = Part()
        self.warm = False

    def forward(self, x):
        return self.part.aside(x) if self.warm else self.part(x)


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.aside = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        return self.fc(x)


class LastOfAList(nn.Module):
    """Which items of a list run may be a matter of the input."""

    def __init__(self):
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        return self.experts[0](x)


class Frozen(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.kept = nn.Linear(8, 8), nn.Linear(8, 8).requires_grad_(False)

    def forward(self, x):
        return self.fc(x)


LEFT_ALONE = [
    Attention, Weights, Tied, HeadInTraining, OtherMethod, Condition, ByName, Parent, LastOfAList, Frozen,
    lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
]  # fmt: skip


def warned(model, **how):
    return [f for f in check(model, SHAPE, repairs=False, sizes=False, **how).findings if f.rule == "never-called"]


@pytest.mark.parametrize("run", ["auto", False])
def test_finds_with_and_without_a_run(run):
    (finding,) = warned(Stack(), run=run)
    assert finding.module == "layers.0"
    assert "self.norm1 and self.norm2 of Layer (layers.0, layers.1) have weights" in finding.message
    assert finding.file == __file__


def test_a_whole_part_is_told_once():
    (finding,) = warned(WholePart())
    assert "self.decoder of WholePart has weights" in finding.message


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("build", LEFT_ALONE)
def test_leaves_alone(build, mode):
    assert warned(build().train(mode)) == []


def test_a_class_without_source_is_left_alone():
    made = {}
    exec(
        "class Hidden(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc, self.idle = nn.Linear(8, 8), nn.Linear(8, 8)\n"
        "    def forward(self, x):\n"
        "        return self.fc(x)\n",
        {"nn": nn, "__name__": "hidden"},
        made,
    )
    assert warned(made["Hidden"]()) == []


def test_text(golden):
    torch.manual_seed(0)
    (finding,) = warned(Stack())
    golden("never-called.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")
