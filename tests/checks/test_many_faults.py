"""However many faults a network has, it is recorded a few times, and what was left undone is said."""

import sys

import pytest
from torch import nn

import skipstone.tracing
from skipstone.checks import check


class Block(nn.Module):
    def __init__(self, width, out):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, out, 3, padding=1))

    def forward(self, x):
        return x + self.body(x)


@pytest.fixture
def records(monkeypatch):
    """The number of nodes of each record made."""
    module, made = sys.modules["skipstone.tracing.trace"], []
    record = skipstone.tracing.record

    def counted(*args, **kwargs):
        graph, options = record(*args, **kwargs)
        made.append(len(graph))
        return graph, options

    monkeypatch.setattr(module, "record", counted)
    return made


def test_forty_different_faults(records):
    network = nn.Sequential(*(Block(8 + k, 9 + k) for k in range(40)))
    report = check(network, (2, 8, 8, 8), run=False)
    assert len(report.errors) == 40
    assert report.num_untried > 0
    assert f"repairs of {report.num_untried} not verified, for want of time" in report.summary
    assert len(records) <= 6  # a refusal takes as long as some nodes do: with 66 of them, 10 took 3 s


def test_one_slip_forty_times(records):
    layers = (layer for _ in range(40) for layer in (Block(8, 16), nn.Conv2d(16, 8, 1)))
    report = check(nn.Sequential(*layers), (2, 8, 8, 8), run=False)
    (finding,) = report.errors
    assert finding.repairs
    assert report.num_untried == 0
    assert sum(records) < 4000
