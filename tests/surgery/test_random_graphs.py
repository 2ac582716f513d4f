"""Random networks with planted skips: any subset taken out equals the network built without that subset."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skipstone import surgery
from skipstone.skips import find_skips

KINDS = ("add", "augmented", "method", "projection", "function", "cat")
WIDTH = 4


class Random(nn.Module):
    """One layer after another, each with a skip of some kind round it; `without` names those left out by hand."""

    def __init__(self, kinds, without=()):
        super().__init__()
        self.kinds, self.without = kinds, set(without)
        wide = [WIDTH * 2 if k and kinds[k - 1] == "cat" and k - 1 not in self.without else WIDTH
                for k in range(len(kinds) + 1)]  # fmt: skip
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, WIDTH), nn.Tanh(), nn.Linear(WIDTH, WIDTH)) for width in wide[:-1]
        )
        self.projections = nn.ModuleDict(
            {str(k): nn.Linear(wide[k], WIDTH) for k, kind in enumerate(kinds) if kind == "projection"}
        )
        self.head = nn.Linear(wide[-1], 3)

    def join(self, a, b):
        return torch.add(a, b)

    def forward(self, x):
        for k, (kind, layer) in enumerate(zip(self.kinds, self.layers, strict=True)):
            y = layer(x)
            same = x[..., :WIDTH]
            if k in self.without:
                x = y
            elif kind == "add":
                x = y + same
            elif kind == "augmented":
                y += same
                x = y
            elif kind == "method":
                x = self.join(y, same)
            elif kind == "projection":
                x = y + self.projections[str(k)](x)
            elif kind == "function":
                x = sum([y, same])
            else:
                x = torch.cat([y, same], dim=-1)
        return self.head(x)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=5), data=st.data())
def test_any_subset(kinds, data):
    take_out(kinds, data.draw(st.sets(st.integers(0, len(kinds) - 1), min_size=1)))


@pytest.mark.parametrize("chosen", [{0}, {0, 1}])
def test_a_slice_of_what_stays_may_read_the_concatenation(chosen):
    """Behind the concatenation `x[..., :4]` reads the branch alone, before and after."""
    take_out(["cat", "add"], chosen)


def take_out(kinds, chosen):
    """Take the skips out, and compare with the network that was built without them: values, gradients, what is left."""
    torch.manual_seed(0)
    model, x = Random(kinds).double(), torch.randn(2, WIDTH, dtype=torch.float64)
    skips = [skip for skip in find_skips(model, x) if skip.merge in ("add", "cat") and skip.kind != "trivial"]
    assert len(skips) == len(kinds)
    edited = surgery.ablate(model, [skips[k] for k in sorted(chosen)], x)
    twin = Random(kinds, chosen).double()
    state = edited.state_dict()
    twin.load_state_dict({name: state[name] for name in twin.state_dict()})
    torch.testing.assert_close(edited(x), twin(x), rtol=0, atol=1e-12)
    edited(x).sum().backward()
    twin(x).sum().backward()
    for name, parameter in twin.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(edited.get_parameter(name).grad, parameter.grad, rtol=0, atol=1e-12)
    left = [s for s in find_skips(edited, x) if s.merge in ("add", "cat") and s.kind != "trivial"]
    assert len(left) == len(kinds) - len(chosen)
    assert torch.equal(surgery.revert(edited)(x), model(x))


@settings(max_examples=15, deadline=None, derandomize=True)
@given(kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=5), data=st.data())
def test_any_connection_and_back(kinds, data):
    torch.manual_seed(0)
    model, x = Random(kinds).double(), torch.randn(2, WIDTH, dtype=torch.float64)
    start = data.draw(st.integers(0, len(kinds) - 2))
    end = data.draw(st.integers(start + 1, len(kinds) - 1))
    merge = data.draw(st.sampled_from(["add", "mul", "gate"]))
    new = surgery.connect(model, f"layers.{start}", f"layers.{end}.0", merge=merge, example=x)
    assert torch.equal(new(x), model(x))
    back = surgery.ablate(
        copy.deepcopy(new), lambda skip: "skipstone_skip" in skip.module and skip.merge_node in _last(new, x), x
    )
    assert torch.equal(back(x), model(x))
    assert list(back.state_dict()) == list(model.state_dict())


def _last(model, x):
    """The node where an added skip is merged: the last operation of its module."""
    from skipstone.tracing import trace

    return {call.outputs[0] for call in trace(model, x).calls if call.path.endswith("skipstone_skip")}
