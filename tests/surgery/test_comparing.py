"""Networks compared by their skips."""

import json

import pytest
import torch
from torch import nn

from skipstone import surgery

SHAPE = (2, 3, 8, 8)


def test_a_network_equals_itself(nets):
    result = surgery.diff(nets.Residual(), nets.Residual(), SHAPE)
    assert result.equal
    assert result.kept == 3
    assert str(result) == "3 skips in both"


def test_lost_and_gained(nets):
    result = surgery.diff(nets.Residual(), nets.plain_residual(), SHAPE)
    assert len(result.lost) == 3
    assert not result.equal
    assert "- lost     stem -> layer.0: identity add over 2 layers" in str(result)
    back = surgery.diff(nets.plain_residual(), nets.Residual(), SHAPE)
    assert [skip.target for skip in back.gained] == [skip.target for skip in result.lost]


class Net(nn.Module):
    def __init__(self, way):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))
        self.way = way

    def forward(self, x):
        y = self.a(x)
        z = self.c(torch.tanh(self.b(y)))
        if self.way == "norm":
            return z + torch.nn.functional.layer_norm(y, (4,))
        return z + {"near": y, "far": x}[self.way]


def test_moved_and_changed():
    moved = surgery.diff(Net("near"), Net("far"), (2, 4))
    assert [(c.before.source, c.after.source) for c in moved.moved] == [("a", "input0")]
    assert not moved.lost
    changed = surgery.diff(Net("near"), Net("norm"), (2, 4))
    assert [(c.before.kind, c.after.kind) for c in changed.changed] == [("identity", "norm")]
    assert "~ changed  a -> forward: norm add over 2 layers" in str(changed)


def test_json_names_its_schema(nets):
    data = json.loads(json.dumps(surgery.diff(nets.Residual(), nets.plain_residual(), SHAPE).to_dict()))
    assert (data["schema"], data["version"]) == ("skipstone.SkipDiff", 1)
    assert len(data["lost"]) == 3


@pytest.mark.parametrize("number", [0, 1, 2])
def test_one_ablated_skip_is_the_one_lost(nets, number):
    model = nets.Residual()
    result = surgery.diff(model, surgery.ablate(model, number, SHAPE), SHAPE)
    assert [skip.target for skip in result.lost] == [f"layer.{number}"]
    assert result.kept == 2
