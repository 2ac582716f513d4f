import json
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.core.errors import SkipstoneError
from skipstone.flow import find_layers, gradient_flow, lost_updates, norms, watch
from skipstone.runs.flow import FlowRecord


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def batch(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 1, 4, 4, generator=generator), torch.arange(n) % 3


def test_layers_are_the_weights_of_two_axes_or_more_once_each():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(5, 4)
            self.attn = nn.MultiheadAttention(4, 2)
            self.norm = nn.LayerNorm(4)
            self.conv = nn.Conv1d(4, 4, 1)
            self.frozen = nn.Linear(4, 4).requires_grad_(False)
            self.head = nn.Linear(4, 5)
            self.head.weight = self.embed.weight
            self.table = nn.Parameter(torch.zeros(2, 2))

    assert [(layer.name, layer.kind) for layer in find_layers(Net())] == [
        ("table", "other"),
        ("embed", "other"),
        ("attn.in_proj_weight", "other"),
        ("attn.out_proj", "linear"),
        ("conv", "conv"),
    ]


def test_norms_of_vanishing_gradients_do_not_vanish():
    tiny = torch.full((4,), 1e-30)
    assert float(tiny.norm()) == 0  # float32 squares underflow: the trap this function avoids
    assert norms([tiny, None, torch.tensor([3.0, 4.0])]) == [pytest.approx(2e-30), 0.0, 5.0]
    assert norms([]) == []


def test_gradient_flow_equals_autograd_and_leaves_the_model_alone():
    model, (x, y) = small(), batch()
    model[0].weight.grad = kept = torch.ones_like(model[0].weight)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.get_rng_state()
    record = gradient_flow(model, (x, y))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model[0].weight.grad is kept
    assert model[4].weight.grad is None
    assert not model[0]._forward_hooks

    outputs = {}

    def keep(module, inputs, output):
        output.retain_grad()
        outputs["0"] = output

    model[0].register_forward_hook(keep)
    model[0].weight.grad = None
    F.cross_entropy(model(x), y).backward()
    conv, linear = record.layers
    assert (conv.name, conv.kind, linear.name, linear.kind) == ("0", "conv", "4", "linear")
    assert conv.grad_norm == pytest.approx(float(model[0].weight.grad.norm()))
    assert linear.weight_norm == pytest.approx(float(model[4].weight.detach().norm()))
    assert conv.output_grad_norm == pytest.approx(float(outputs["0"].grad.norm()))
    assert conv.lost_updates is None


def test_gradient_flow_takes_keywords_and_own_losses():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(2, 1)

        def forward(self, a, *, b):
            return self.fc(a + b)

    record = gradient_flow(Net(), ({"a": torch.ones(3, 2), "b": torch.ones(3, 2)}, torch.zeros(3, 1)), F.mse_loss)
    assert record.layers[0].grad_norm > 0
    record = gradient_flow(Net().fc, ((torch.ones(3, 2),), torch.zeros(3, 1)), F.mse_loss)
    assert record.layers[0].grad_norm > 0


def test_gradient_flow_says_what_is_wrong_with_a_loss():
    with pytest.raises(SkipstoneError, match=r"the loss has shape \(5,\), expected a scalar"):
        gradient_flow(small(), batch(), lambda o, t: F.cross_entropy(o, t, reduction="none"))
    with pytest.raises(SkipstoneError, match="depends on no trainable parameter"):
        gradient_flow(small().requires_grad_(False), batch())


def test_a_layer_used_twice_adds_up_both_output_gradients():
    layer = nn.Linear(2, 2, bias=False)
    nn.init.eye_(layer.weight)

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(self.layer(x))

    record = gradient_flow(Twice(), (torch.ones(1, 2), torch.zeros(1, 2)), lambda o, t: o.sum())
    assert record.layers[0].output_grad_norm == pytest.approx(2.0)  # two outputs, each of gradient (1, 1)


def test_lost_updates_counts_only_elements_with_a_gradient():
    before = torch.tensor([1.0, 1.0, 1.0, 1.0])
    after = torch.tensor([1.0, 1.0, 2.0, 1.0])
    assert lost_updates(before, after, torch.tensor([1.0, 0.0, 1.0, 0.0])) == 0.5
    assert lost_updates(before, after, torch.zeros(4)) is None
    assert lost_updates(before, after, None) is None


def run(model, optimizer, steps, **options):
    x, y = batch()
    with watch(model, optimizer, **options) as flow:
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return flow


def test_watch_records_every_few_steps_and_takes_its_hooks_away(tmp_path):
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    flow = run(model, optimizer, 7, every=3)
    assert [record.step for record in flow.records] == [0, 3, 6]
    assert all(layer.lost_updates < 0.2 and layer.output_grad_norm > 0 for layer in flow.last.layers)
    assert not model._forward_pre_hooks
    assert not model[0]._forward_hooks
    assert not optimizer._optimizer_step_pre_hooks
    flow.save(tmp_path / "flow.jsonl")
    lines = (tmp_path / "flow.jsonl").read_text().splitlines()
    assert [FlowRecord.from_dict(json.loads(line)) for line in lines] == flow.records


def test_watching_changes_nothing():
    watched, alone = small(), small()
    run(watched, torch.optim.SGD(watched.parameters(), lr=0.1, momentum=0.9), 5, every=1)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1, momentum=0.9)
    x, y = batch()
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(alone(x), y).backward()
        optimizer.step()
    for a, b in zip(watched.state_dict().values(), alone.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_watch_sees_updates_lost_to_rounding_and_those_that_adam_saves():
    def lost(make) -> float:
        model = small()
        flow = run(model, make(model.parameters()), 1)
        return flow.last.layers[-1].lost_updates

    assert lost(lambda p: torch.optim.SGD(p, lr=1e-12)) == 1
    assert lost(lambda p: torch.optim.SGD(p, lr=1e-1)) == 0
    assert lost(lambda p: torch.optim.Adam(p, lr=1e-4)) == 0


def test_watch_sees_bfloat16_stagnate():
    """Gaussian weights, updates of 1e-3 of them in norm: 77.6 % of a bfloat16 weight's elements freeze."""

    class Weight(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(300, 300, bias=False).bfloat16()
            nn.init.normal_(self.fc.weight)

        def forward(self, x):
            return (self.fc.weight.float() * x).sum()

    torch.manual_seed(0)
    model = Weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    direction = torch.randn(300, 300)
    with watch(model, optimizer) as flow:
        model(direction).backward()
        optimizer.step()
    assert flow.last.layers[0].lost_updates == pytest.approx(0.776, abs=0.01)


def test_watch_is_left_in_order_by_an_error():
    model = small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(RuntimeError), watch(model, optimizer):
        model(batch()[0][:, :, :3])
    assert not model[0]._forward_hooks
    assert not model._forward_pre_hooks


def test_every_must_be_a_count():
    model = small()
    with (
        pytest.raises(SkipstoneError, match="every is 0, expected at least 1"),
        watch(model, torch.optim.SGD(model.parameters(), lr=1), every=0),
    ):
        pass


def test_norm_of_infinite_gradients_is_infinite_not_an_error():
    assert math.isinf(norms([torch.tensor([float("inf"), 1.0])])[0])
