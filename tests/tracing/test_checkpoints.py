"""Writes over what a checkpoint was called with: torch's own verdict, for each way of writing and kind of region."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import skipstone
from skipstone.tracing import bypass, trace

SHAPE = (2, 3, 6, 6)


def _zeroed(x, y):
    x[:, :2].zero_()
    return y + x


def _scaled_unseen(x, y):
    with torch.no_grad():
        x.mul_(2)
    return y + x


def _through_detach(x, y):
    x.detach().mul_(2)
    return y + x


def _through_data(x, y):
    x.data.mul_(2)
    return y + x


def _output_unread(x, y):
    x.relu_()
    return x


WRITES = {
    "none": lambda x, y: y + x,
    "a ReLU": lambda x, y: y + x.relu_(),
    "the addition": lambda x, y: x.add_(y),
    "on the output": lambda x, y: y.mul_(2) + x,
    "a slice": _zeroed,
    "without gradients": _scaled_unseen,
    "through detach": _through_detach,
    "through data": _through_data,
    "the output is unread": _output_unread,
}
REGIONS = {
    "a convolution": lambda d, t: d(t),
    "an activation": lambda d, t: torch.relu(t),
    "it saves its result": lambda d, t: torch.tanh(t),
    "it saves nothing": lambda d, t: t * 2,
    "an addition": lambda d, t: t + 1,
    "a view": lambda d, t: d(t[:, :4]),
    "several": lambda d, t: d(torch.relu(d(t))),
    "nested": lambda d, t: checkpoint(d, torch.relu(t), use_reentrant=False),
}


class Net(nn.Module):
    def __init__(self, region, write, reentrant):
        super().__init__()
        self.c, self.d = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.region, self.write, self.reentrant = region, write, reentrant

    def forward(self, x):
        x = self.c(x)
        y = checkpoint(lambda t: self.region(self.d, t), x, use_reentrant=self.reentrant)
        return self.write(x, y)


def refused_by_torch(net):
    try:
        net(torch.randn(SHAPE)).sum().backward()
    except RuntimeError:
        return True
    return False


def every():
    """Each combination of a region, a write and a kind of checkpoint."""
    return list(itertools.product(REGIONS, WRITES, (False, True)))


@pytest.mark.parametrize(
    ("region", "write", "reentrant"),
    [case if number % 7 == 0 else pytest.param(*case, marks=pytest.mark.slow) for number, case in enumerate(every())],
)
def test_each_way_of_writing(region, write, reentrant):
    net = Net(REGIONS[region], WRITES[write], reentrant)
    assert bool(trace(net, SHAPE).refusals) == refused_by_torch(net)


@pytest.mark.parametrize("reentrant", [False, True])
def test_the_finding_names_the_writer_without_a_run(reentrant):
    report = skipstone.check(Net(REGIONS["a convolution"], WRITES["a ReLU"], reentrant), SHAPE, run=False)
    (finding,) = report.errors
    assert finding.code == "SK109"
    assert "relu" in finding.message


def test_without_torchs_generator_the_run_alone_tells(monkeypatch):
    monkeypatch.setattr(bypass, "AROUND_CHECKPOINT", "no_such_name")
    net = Net(REGIONS["a convolution"], WRITES["a ReLU"], False)
    assert not trace(net, SHAPE).refusals
    assert [finding.code for finding in skipstone.check(net, SHAPE).errors] == ["SK401"]


def test_torch_is_as_it_was():
    before = torch.utils.checkpoint._checkpoint_without_reentrant_generator
    trace(Net(REGIONS["a convolution"], WRITES["none"], False), SHAPE)
    assert torch.utils.checkpoint._checkpoint_without_reentrant_generator is before
