"""Which broadcasts are meant and which are accidents, by provenance."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.graphs.broadcast import accidental_broadcasts
from skipstone.tracing import trace


class Net(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run = run
        self.wide, self.one = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 1)
        self.keep, self.fc = nn.Conv2d(1, 1, 1), nn.Linear(6, 6)
        self.gain = nn.Parameter(torch.ones(6))
        self.register_buffer("mask", torch.ones(1, 1, 6, 6))

    def forward(self, x):
        return self.run(self, x)


ACCIDENTS = {
    "raw one-channel input added to features": (lambda m, x: x + m.wide(x), (2, 1, 6, 6)),
    "one channel kept by a layer": (lambda m, x: m.keep(x).relu() + m.wide(x), (2, 1, 6, 6)),
    "sum over channels without keepdim": (lambda m, x: x[:, :1] - x.sum(1), (2, 3, 6, 6)),
    "the same with a batch of one": (lambda m, x: x[:, :1] - x.sum(1), (1, 3, 6, 6)),
    "mean over time without keepdim": (lambda m, x: x - x.mean(1), (6, 6, 6)),
    "one pixel left by rounding": (lambda m, x: F.avg_pool2d(x, 2) + F.conv2d(x, x.new_zeros(1, 1, 3, 3), None, 2, 1),
                                   (2, 1, 3, 3)),
    "zeros of the input's size": (lambda m, x: torch.zeros_like(x) * F.pad(x, (0, 1)), (2, 3, 6, 1)),
}  # fmt: skip
MEANT = {
    "squeeze and excitation": (lambda m, x: x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1)), (2, 3, 6, 6)),
    "excitation on a fixed window": (lambda m, x: x * torch.sigmoid(F.avg_pool2d(x, 6)), (2, 3, 6, 6)),
    "global context": (lambda m, x: x + x.mean((2, 3), keepdim=True), (2, 3, 6, 6)),
    "spatial gate": (lambda m, x: m.wide(x) * torch.sigmoid(m.one(m.wide(x))), (2, 1, 6, 6)),
    "value and advantage": (lambda m, x: m.one(m.wide(x)) + m.wide(x), (2, 1, 6, 6)),
    "parameter": (lambda m, x: x * m.gain + m.gain, (2, 3, 6, 6)),
    "buffer": (lambda m, x: x * m.mask, (2, 3, 6, 6)),
    "pairs": (lambda m, x: x[:, None] - x[:, :, None], (2, 6, 6)),
    "outer difference": (lambda m, x: x - x[:, None], (6,)),
    "explicit axes": (lambda m, x: x + m.fc(x.mean((2, 3)))[:, :, None, None], (2, 6, 6, 6)),
    "centred": (lambda m, x: (x - x.mean(0)) / x.std(0), (4, 6, 6)),
    "scalar": (lambda m, x: x / x.abs().max(), (2, 3, 6, 6)),
    "one slice": (lambda m, x: x + x[:, :1], (2, 3, 6, 6)),
    "input as mask": (lambda m, x: x * m.wide(x), (2, 1, 6, 6)),
}


@pytest.mark.parametrize("name", ACCIDENTS)
def test_accidents(name):
    run, shape = ACCIDENTS[name]
    graph = trace(Net(run), shape)
    (found,) = accidental_broadcasts(graph)
    assert graph[found].op in ("add", "sub", "mul")


@pytest.mark.parametrize("name", MEANT)
def test_meant(name):
    run, shape = MEANT[name]
    assert accidental_broadcasts(trace(Net(run), shape)) == ()
