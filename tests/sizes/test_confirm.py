"""Sizes that the record calls legal and torch refuses are none; those that really run stay."""

import pytest
import torch
from torch import nn

from skipstone import legal_sizes

SIZES = range(1, 17)


class Of(nn.Module):
    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.function(self, x)


def really(model, shape):
    legal = set()
    for size in SIZES:
        try:
            model(torch.randn([size if axis == "h" else axis for axis in shape]))
        except (RuntimeError, ValueError):
            continue
        legal.add(size)
    return legal


def odd_is_double(m, x):
    """Another precision at odd sizes alone."""
    return m.fc(x.mean(1).double() if x.shape[1] % 2 else x.mean(1))


UP, TWICE = nn.ConvTranspose2d(4, 4, 3, 1, 1, output_padding=1), nn.Upsample(scale_factor=2)
MAP = (2, 4, "h", "h")
CASES = {
    "another precision": (Of(lambda m, x: m.fc(x.double()), fc=nn.Linear(4, 4)), (2, "h", 4)),
    "output padding": (Of(lambda m, x: m.up(x), up=UP), MAP),
    "some sizes alone": (Of(odd_is_double, fc=nn.Linear(4, 4)), (2, "h", 4)),
    "every size": (Of(lambda m, x: x + m.conv(x), conv=nn.Conv2d(4, 4, 3, padding=1)), MAP),
    "even sizes": (Of(lambda m, x: x + m.up(m.pool(x)), pool=nn.MaxPool2d(2), up=TWICE), MAP),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sizes_are_those_that_run(name):
    model, shape = CASES[name]
    report = legal_sizes(model, shape, h=SIZES)
    assert {*report.legal, *report.broadcast} == really(model, shape)
    assert "really run" in report.method


def test_the_reason_is_torchs_own():
    model, shape = CASES["another precision"]
    report = legal_sizes(model, shape, h=SIZES)
    assert any("must have the same dtype" in refusal.reason for refusal in report.refusals)
    assert report.axes[0].rule == "none"


def test_without_the_run_the_record_is_all_there_is():
    model, shape = CASES["another precision"]
    report = legal_sizes(model, shape, h=SIZES, run=False)
    assert set(report.legal) == set(SIZES)
    assert "really run" not in report.method


def test_values_that_were_made_up_take_no_size_away():
    model = Of(lambda m, x: torch.bernoulli(m.fc(x)), fc=nn.Linear(4, 4))
    assert set(legal_sizes(model, (2, "h", 4), h=SIZES).legal) == set(SIZES)


def test_several_axes():
    model = Of(lambda m, x: m.fc(x.double()), fc=nn.Linear(4, 4))
    report = legal_sizes(model, ("n", "t", 4), n=range(1, 5), t=range(1, 5))
    assert report.legal == frozenset()


def test_the_model_stays_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)).train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    legal_sizes(model, (2, 3, "h", "h"), h=SIZES)
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
