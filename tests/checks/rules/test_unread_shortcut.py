"""What unread-shortcut must find, and what it must leave alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv

MAP = (2, 8, 8, 8)


class IdentityForgotten(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)

    def forward(self, x):
        identity = x  # noqa: F841 - that is the fault
        out = self.b(F.relu(self.a(x)))
        return F.relu(out)


class LstmState(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.LSTM(16, 16, batch_first=True)
        self.h = nn.Linear(16, 3)

    def forward(self, x):
        o, _ = self.l(x)
        return self.h(o[:, -1])


class RunningBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.register_buffer("m", torch.zeros(8))
        self.t = nn.Linear(8, 8)

    def forward(self, x):
        y = self.a(x)
        self.m.mul_(0.9).add_(self.t(y.mean((0, 2, 3))).detach(), alpha=0.1)
        return x + y


class ShortcutModuleForgotten(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 16)
        self.b = conv(16, 16)
        self.shortcut = nn.Sequential(nn.Conv2d(8, 16, 1))

    def forward(self, x):
        return F.relu(self.b(F.relu(self.a(x))))


class DownsampleOnlyWhereNeeded(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = conv(8, 8)
        self.b = conv(8, 8)
        self.downsample = None

    def forward(self, x):
        identity = x
        if self.downsample is not None:
            identity = self.downsample(x)
        return F.relu(self.b(F.relu(self.a(x))) + identity)


FOUND = [
    (IdentityForgotten, MAP),
    (ShortcutModuleForgotten, MAP),
]
LEFT_ALONE = [
    (LstmState, (2, 10, 16)),
    (RunningBuffer, MAP),
    (DownsampleOnlyWhereNeeded, MAP),
]


@pytest.mark.parametrize(("kind", "shape"), FOUND)
def test_finds(found, kind, shape):
    assert {finding.rule for finding in found(kind, shape)} == {"unread-shortcut"}


@pytest.mark.parametrize(("kind", "shape"), LEFT_ALONE)
def test_leaves_alone(found, kind, shape):
    assert found(kind, shape) == ()


def test_text(found, text, golden):
    kind, shape = FOUND[0]
    golden("unread-shortcut.txt", text(found(kind, shape)[0]))


class OfTheBranch(nn.Module):
    """The shortcut reads what `source` says: the block's input, or the end of its branch."""

    def __init__(self, source, name="shortcut", first=8):
        super().__init__()
        self.a, self.b, self.source, self.name = conv(first, 16), conv(16, 16), source, name
        self.add_module(name, nn.Conv2d(16 if source == "end" else first, 16, 1))

    def forward(self, x):
        h = self.b(F.relu(self.a(x)))
        return h + getattr(self, self.name)(h if self.source == "end" else x)


class Adapted(OfTheBranch):
    """A small unit with a bend of its own behind a layer (Houlsby et al., 1902.00751)."""

    def forward(self, x):
        h = self.b(F.relu(self.a(x)))
        return h + self.mix(F.relu(h))


@pytest.mark.parametrize(("name", "first"), [("shortcut", 8), ("shortcut", 16), ("downsample", 16), ("match", 8)])
def test_a_shortcut_of_the_branch(found, name, first):
    kind = lambda: nn.Sequential(conv(8, first), OfTheBranch("end", name, first))  # noqa: E731
    (finding,) = found(kind, MAP)
    assert (finding.rule, finding.module) == ("unread-shortcut", "1")


@pytest.mark.parametrize("model", [OfTheBranch("input"), OfTheBranch("end", "mix", 16), Adapted("end", "mix")])
def test_a_shortcut_of_the_input_or_a_layer_behind_the_branch(found, model):
    first = model.a.in_channels
    assert found(lambda: nn.Sequential(conv(8, first), model), MAP) == ()
