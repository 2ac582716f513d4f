"""State that one call leaves to the next: by mistake, and as a design."""

import linecache

import pytest
import torch
from torch import nn

from skipstone.checks import check
from skipstone.checks.text import finding_text


class Of(nn.Module):
    """Two layers, and whatever a test keeps between them."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(8, 8, batch_first=True)
        self.hidden = None

    def forward(self, x):
        out, self.hidden = self.gru(x[:, None], self.hidden)
        return out[:, 0]


class KeptShortcut(Of):
    def __init__(self):
        super().__init__()
        self.identity = None

    def forward(self, x):
        h = self.first(x)
        y = h if self.identity is None else h + self.identity
        self.identity = x
        return self.last(y)


class GrowingList(Of):
    def __init__(self):
        super().__init__()
        self.maps = []

    def forward(self, x):
        self.maps.append(self.first(x))
        self.maps.append(self.last(x))
        return sum(self.maps)


class OverwrittenTable(Of):
    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.randn(6, 8))

    def forward(self, x):
        position = self.table[: len(x)]
        position += self.first(x).detach()
        return self.last(position)


class InsideABlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.block = nn.Linear(8, 8), KeptShortcut()

    def forward(self, x):
        return x + self.block(self.stem(x))


class KeptGraph(Of):
    """Gives the same values in each call, and its second training step raises."""

    def __init__(self):
        super().__init__()
        self.code = None

    def forward(self, x):
        if self.code is None:
            self.code = torch.tanh(self.first.weight.mean(0))
        return self.last(x + self.code)


FOUND = {
    "a hidden state": (Recurrent, "self.hidden, which one call writes, is read by the next one", "", "self.hidden)"),
    "a shortcut": (KeptShortcut, "self.identity, which", "", "self.identity = x"),
    "a list": (GrowingList, "self.maps, which", "", "self.maps.append(self.last"),
    "a buffer in place": (OverwrittenTable, "self.table, which one call overwrites in place", "", "position += "),
    "in a block": (InsideABlock, "self.identity, which", "block", "self.identity = x"),
    "a graph": (KeptGraph, "makes the next one raise RuntimeError: Trying to backward", "", "self.code = torch"),
}


class Resets(Recurrent):
    def reset(self):
        self.hidden = None


class HandedOut(Recurrent):
    """Its trainer assigns what this gives."""

    def init_hidden(self, batch):
        return torch.zeros(1, batch, 8)


class Switched(Recurrent):
    def __init__(self, stateful=True):
        super().__init__()
        self.stateful = stateful

    def forward(self, x):
        out, hidden = self.gru(x[:, None], self.hidden)
        if self.stateful:
            self.hidden = hidden
        return out[:, 0]


class ByArgument(Recurrent):
    def forward(self, x, begin=False):
        if begin:
            self.hidden = None
        out, self.hidden = self.gru(x[:, None], self.hidden)
        return out[:, 0]


class Documented(Recurrent):
    """A layer whose state persists across calls."""


class Detached(Recurrent):
    def forward(self, x):
        out, hidden = self.gru(x[:, None], self.hidden)
        self.hidden = hidden.detach()
        return out[:, 0]


class MovingAverage(Of):
    def __init__(self):
        super().__init__()
        self.register_buffer("center", torch.zeros(8))

    def forward(self, x):
        y = self.first(x)
        self.center.mul_(0.9).add_(0.1 * y.detach().mean(0))
        return self.last(y - self.center)


class Counter(Of):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.first(x) * min(1.0, self.calls / 10)


class SizedCache(Of):
    def __init__(self):
        super().__init__()
        self.masks = {}

    def forward(self, x):
        if x.shape not in self.masks:
            self.masks[x.shape] = torch.ones(x.shape).tril()
        return self.last(self.first(x) * self.masks[x.shape])


class Remembers(Of):
    def forward(self, x):
        self.seen = self.first(x)
        return self.last(self.seen)


class Lazily(Of):
    def __init__(self):
        super().__init__()
        self.extra = None

    def forward(self, x):
        if self.extra is None:
            self.extra = nn.Linear(8, 8)
        return self.extra(self.first(x))


class Begins(Recurrent):
    def forward(self, x):
        self.hidden = torch.zeros(1, len(x), 8)
        return super().forward(x)


class OnlyInTraining(KeptShortcut):
    def forward(self, x):
        h = self.first(x)
        return self.last(x + h) if not self.training else super().forward(x)


LEFT_ALONE = [
    Resets, HandedOut, Switched, ByArgument, Documented, Detached, MovingAverage, Counter, SizedCache, Remembers,
    Lazily, Begins, OnlyInTraining, Of,
]  # fmt: skip
Of.forward = lambda self, x: self.last(self.first(x) + x)


def warned(model, **how):
    found = check(model, (6, 8), repairs=False, sizes=False, **how).findings
    return [finding for finding in found if finding.rule == "kept-between-calls"]


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("name", FOUND)
def test_finds(name, mode):
    kind, words, module, line = FOUND[name]
    if name == "a graph" and not mode:
        return
    model = kind().train(mode)
    (finding,) = warned(model)
    assert words in finding.message
    assert finding.module == module
    assert finding.file == __file__
    assert line in linecache.getline(__file__, finding.line)
    assert not any(value.grad is not None for value in model.parameters())


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_leaves_alone(kind):
    assert warned(kind()) == []


def test_the_users_network_is_as_before():
    model = Recurrent()
    assert warned(model)
    assert model.hidden is None


def test_without_the_run_nothing_is_said():
    assert warned(Recurrent(), run=False) == []


def test_text(golden):
    (finding,) = warned(Recurrent())
    golden("kept-between-calls.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")
