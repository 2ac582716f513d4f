"""Samples that meet by mistake are found where they do; rows that meet on purpose are left alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.checks import check

ROWS, MAP, STEPS = (4, 8), (2, 8, 6, 6), (4, 5, 8)


class Of(nn.Module):
    """A network given by a function of itself and its inputs, between two linear layers or convolutions."""

    def __init__(self, function, *, maps=False, width=8, **modules):
        super().__init__()
        self.first = nn.Conv2d(8, width, 3, padding=1) if maps else nn.Linear(8, width)
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x, *others):
        return self.function(self, self.first(x), *others)


class Folded(nn.Module):
    """A view that makes several rows of an image."""

    def __init__(self, right=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 6 * 6 if right else 8 * 6 * 6 // 4, 5)
        self.right = right

    def forward(self, x):
        x = self.stem(x)
        return self.fc(x.flatten(1) if self.right else x.view(-1, 8 * 6 * 6 // 4))


class Joined(nn.Module):
    """A view that makes one row of two images."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Linear(2 * 8 * 6 * 6, 5)

    def forward(self, x):
        return self.fc(self.stem(x).view(-1, 2 * 8 * 6 * 6))


FOUND = {
    "softmax": (Of(lambda m, x: x.softmax(0)), ROWS, "softmax along axis 0"),
    "softmax of scores": (Of(lambda m, x: (m.score(x).softmax(dim=0) * x), score=nn.Linear(8, 1)), ROWS, "softmax"),
    "norm": (Of(lambda m, x: F.normalize(x, dim=0)), ROWS, "normalize"),
    "roll": (Of(lambda m, x: x + x.roll(1, 0), maps=True), MAP, "roll"),
    "added up": (Of(lambda m, x: (x + x.sum(0)).mean((2, 3)), maps=True), MAP, "sum along axis 0"),
    "a context of all": (Of(lambda m, x: m.out((x * x.mean(0, keepdim=True).sigmoid()).mean(1)), out=nn.Linear(8, 2)),
                         STEPS, "mean along axis 0"),
    "scaled by all": (Of(lambda m, x: ((x - x.min()) / (x.max() - x.min())).mean((2, 3)), maps=True), MAP, "min"),
    "attention to the batch": (
        Of(lambda m, x: ((x := x.mean((2, 3))) @ x.t()).softmax(1) @ x, maps=True), MAP, "matmul"),
    "Fourier over all axes": (Of(lambda m, x: torch.fft.fftn(x).real.mean((2, 3)), maps=True), MAP, "fft_fftn"),
    "one image, several rows": (Folded(), (2, 3, 6, 6), "makes 4 rows of each sample"),
    "two images, one row": (Joined(), (2, 3, 6, 6), "view"),
    "reshape for a transpose": (
        Of(lambda m, x: m.out(m.rnn(x.reshape(x.shape[1], x.shape[0], -1))[0].transpose(0, 1)),
           rnn=nn.GRU(8, 8), out=nn.Linear(8, 2)),
        STEPS, "is not first behind it",
    ),
}  # fmt: skip


def graph_layer(m, x, edges):
    """Neighbours meet."""
    return x.index_add(0, edges[0], x[edges[1]])


LEFT_ALONE = {
    "softmax of features": (Of(lambda m, x: x.softmax(1)), ROWS),
    "tokens folded and unfolded": (Of(lambda m, x: m.n(x.reshape(-1, 8)).view(x.shape), n=nn.BatchNorm1d(8)), STEPS),
    "rows of tokens": (Of(lambda m, x: x.view(-1, 8)), STEPS),
    "heads in the batch": (
        Of(lambda m, x: x.view(8, 2, 5, 4).softmax(-1).view(4, 5, 8)), STEPS,
    ),
    "flat images": (Folded(right=True), (2, 3, 6, 6)),
    "similarities of all pairs": (Of(lambda m, x: F.normalize(x, dim=1) @ F.normalize(x, dim=1).t()), ROWS),
    "weighted by all pairs": (Of(lambda m, x: (x @ x.t()).softmax(1) @ x), ROWS),
    "statistics of the batch": (Of(lambda m, x: torch.cat([x, x.std(0).mean().expand(len(x), 1)], 1)), ROWS),
    "centred by the batch": (Of(lambda m, x: x - x.mean(0)), ROWS),
    "batch norm that keeps none": (Of(lambda m, x: m.n(x), n=nn.BatchNorm1d(8, track_running_stats=False)), ROWS),
    "pooled set": (Of(lambda m, x: (m.score(x).softmax(0) * x).sum(0), score=nn.Linear(8, 1)), ROWS),
    "pooled set with its weights": (
        Of(lambda m, x: ((m.score(x).softmax(0) * x).sum(0), m.score(x).softmax(0)), score=nn.Linear(8, 1)), ROWS,
    ),
    "negatives beside positives": (Of(lambda m, x: (m.score(x), m.score(x.roll(1, 0))), score=nn.Linear(8, 1)), ROWS),
    "a set that was given whole": (Of(lambda m, x: x + x.sum(0)), ROWS),
    "centred maps": (Of(lambda m, x: (x - x.mean(0)).mean((2, 3)), maps=True), MAP),
    "frames of a video (TSM, 1811.08383)": (
        Of(lambda m, x: x.view(2, 2, 8, 6, 6).flip(1).reshape(4, 8, 6, 6).mean((2, 3)), maps=True), (4, 8, 6, 6)),
    "whitened": (Of(lambda m, x: (x := x.mean((2, 3))) @ (x.t() @ x), maps=True), MAP),
    "rounded by one scale": (
        Of(lambda m, x: (x / x.max()).mul(7).round().mean((2, 3)), maps=True), MAP),
    "a loss": (Of(lambda m, x: x.softmax(0).mean()), ROWS),
    "a graph": (Of(graph_layer), (ROWS, torch.tensor([[0, 1, 2], [1, 2, 3]]))),
    "an adjacency": (Of(lambda m, x, a: (a @ x).softmax(0)), (ROWS, (4, 4))),
    "time first": (Of(lambda m, x: m.rnn(x)[0].softmax(0), rnn=nn.LSTM(8, 8)), STEPS),
    "modulation": (Of(lambda m, x, c: x * (1 + m.cond(c)[:, None]), cond=nn.Linear(8, 8)), ((4, 4, 8), (4, 8))),
    "noise": (Of(lambda m, x: x + torch.randn_like(x)), ROWS),
}  # fmt: skip


def warned(model, example):
    torch.manual_seed(0)
    return [f for f in check(model, example, repairs=False, sizes=False).findings if f.rule == "samples-meet"]


@pytest.mark.parametrize("name", FOUND)
def test_finds(name):
    model, example, words = FOUND[name]
    (finding,) = warned(model, example)
    assert words in finding.message
    assert finding.file == __file__


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_leaves_alone(name):
    model, example = LEFT_ALONE[name]
    report = check(model, example, repairs=False, sizes=False)
    assert report.ran.startswith("run: ")
    assert [f for f in report.findings if f.rule == "samples-meet"] == []


def test_a_sample_alone_meets_nobody():
    assert warned(Of(lambda m, x: x.softmax(0)), (1, 8)) == []


def test_without_the_run_nothing_is_said():
    assert check(Of(lambda m, x: x.softmax(0)), ROWS, run=False).warnings == ()


def test_text(golden):
    from skipstone.checks.text import finding_text

    (finding,) = warned(Folded(), (2, 3, 6, 6))
    golden("samples-meet.txt", finding_text(finding).replace(f":{finding.line}", "") + "\n")


class ShapeOfTheData(nn.Module):
    """How many rows come out, and whether they are rows, is decided by the data."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        y = self.linear(x)
        return (x + y)[torch.nonzero(y[:, 0] > 0).squeeze()]


def test_a_shape_that_the_data_decide_on_is_no_fault():
    for seed in range(8):
        torch.manual_seed(seed)
        assert not check(ShapeOfTheData(), (2, 4)).warnings
