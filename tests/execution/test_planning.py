"""Whether a network is run, at which size, and what is said where it is not."""

import torch
from torch import nn

from skipstone.execution import NotRun, Plan, plan
from skipstone.tracing import parse_example, trace


def planned(model, example, **how):
    parsed = parse_example(example)
    return plan(model, parsed, trace(model, parsed), **how)


def convs(width=8, depth=2):
    layers = [nn.Conv2d(3, width, 3, padding=1)]
    layers += [nn.Conv2d(width, width, 3, padding=1) for _ in range(depth)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1))


def test_a_small_network_is_run_as_asked():
    made = planned(convs(), (2, 3, 16, 16))
    assert isinstance(made, Plan)
    assert made.as_asked
    assert str(made) == "2 x 3x16x16"


def test_several_inputs_are_each_told():
    class Two(nn.Module):
        def forward(self, x, y):
            return x + y.sum()

    assert str(planned(Two(), ((2, 3), (5,)))) == "2 x 3 and 5"


def test_a_large_one_is_run_smaller_and_one_that_is_too_much_is_told_with_its_cost():
    made = planned(convs(64, 4), (8, 3, 256, 256))
    assert isinstance(made, Plan)
    assert not made.as_asked
    assert str(made) == "2 x 3x32x32"
    assert str(planned(convs(64, 4), (2, 3, 64, 64), budget=1e-4)) == "not run: 1.22 GMACs (--run to do it)"
    assert planned(convs(64, 4), (2, 3, 64, 64), budget=1e-4, run=True).as_asked


def test_a_smaller_size_must_be_legal():
    model = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Conv2d(64, 64, 65), nn.Flatten(), nn.LazyLinear(2))
    assert isinstance(planned(model, (2, 3, 128, 128)), NotRun)


def test_not_asked_for_is_not_worth_a_word():
    made = planned(convs(), (2, 3, 16, 16), run=False)
    assert isinstance(made, NotRun)
    assert str(made) == ""


def test_no_weights_no_run():
    with torch.device("meta"):
        model = convs()
    assert str(planned(model, (2, 3, 16, 16))) == "not run: its weights are on the meta device"
    assert str(planned(model, (2, 3, 16, 16), run=True)) == "not run: its weights are on the meta device"


def test_too_little_memory_is_told(monkeypatch):
    monkeypatch.setattr("skipstone.execution.planning._free_memory", lambda: 1000)
    assert str(planned(convs(), (2, 3, 16, 16))) == "not run: it needs 0.0 GiB, with 0.0 GiB free"


def test_inputs_that_cannot_be_made_are_told():
    class Masked(nn.Module):
        def forward(self, x, mask):
            return x.masked_fill(mask, 0.0)

    mask = torch.empty(2, 3, dtype=torch.bool, device="meta")
    assert str(planned(Masked(), ((2, 3), mask))) == (
        "not run: which values the bool input (2, 3) takes is not known; give a tensor"
    )
