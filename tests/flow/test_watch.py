"""The watch in every kind of loop, against plain autograd and a loop without it."""

import copy
import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from flow_loops import with_a_step_left_out
from skipstone.core.errors import SkipstoneError
from skipstone.flow import watch
from skipstone.runs.flow import FlowRecord, scalars_of

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "sgd, one by one": lambda p: torch.optim.SGD(p, lr=0.1, foreach=False),
    "sgd, fused": lambda p: torch.optim.SGD(p, lr=0.1, fused=True),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-2),
    "adam, foreach": lambda p: torch.optim.Adam(p, lr=1e-2, foreach=True),
    "adam, fused": lambda p: torch.optim.Adam(p, lr=1e-2, fused=True),
    "adamw, amsgrad": lambda p: torch.optim.AdamW(p, lr=1e-2, amsgrad=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=1e-2),
}
if hasattr(torch.optim, "Muon"):
    OPTIMIZERS["muon"] = lambda p: torch.optim.Muon([q for q in p if q.ndim == 2], lr=1e-2)


def net(seed=0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))


def batch(seed=1, n=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, generator=generator), torch.arange(n) % 3


def train(model, optimizer, steps=4, batches=batch):
    for number in range(steps):
        x, y = batches(number)
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def hooks_on(model, *optimizers) -> int:
    found = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
    steps = sum(len(o._optimizer_step_pre_hooks) + len(o._optimizer_step_post_hooks) for o in optimizers)
    return found + steps


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_watch_changes_nothing_and_sees_the_actual_update(name):
    """Bit-identical with the watch and without; the update is what the weights say."""
    watched, alone = net(), net()
    torch.manual_seed(3)
    train(alone, OPTIMIZERS[name](alone.parameters()))
    optimizer, states = OPTIMIZERS[name](watched.parameters()), []
    torch.manual_seed(3)
    with watch(watched, optimizer, every=1) as flow:
        for number in range(4):
            states.append([watched[k].weight.detach().clone() for k in (0, 3, 5)])
            train(watched, optimizer, 1, lambda _, number=number: batch(number))
    states.append([watched[k].weight.detach().clone() for k in (0, 3, 5)])
    assert all(
        torch.equal(a, b) for a, b in zip(watched.state_dict().values(), alone.state_dict().values(), strict=True)
    )
    assert [record.step for record in flow.records] == [0, 1, 2, 3]
    for record, before, after in zip(flow.records, states, states[1:], strict=False):
        for layer, old, new in zip(record.layers, before, after, strict=True):
            assert layer.update_norm == pytest.approx(float((new - old).norm()), rel=1e-5)
            assert layer.unmoved == float((new == old).double().mean())
            assert layer.weight_norm == pytest.approx(float(old.norm()))
    assert hooks_on(watched, optimizer) == 0


@pytest.mark.parametrize(("dtype", "gradient", "make", "moves"), [
    (torch.float32, 1e-15, lambda p: torch.optim.SGD(p, lr=1e-4), False),
    (torch.float64, 1e-15, lambda p: torch.optim.SGD(p, lr=1e-4), False),
    (torch.float32, 1e-15, lambda p: torch.optim.Adam(p, lr=1e-4), False),
    (torch.float32, 1e-15, lambda p: torch.optim.Adam(p, lr=1e-4, eps=1e-20), True),
    (torch.bfloat16, 1e-2, lambda p: torch.optim.SGD(p, lr=1e-3), False),
    (torch.float32, 1e-2, lambda p: torch.optim.SGD(p, lr=1e-3), True),
])  # fmt: skip
def test_the_tutorials_update(dtype, gradient, make, moves):
    """A weight of 0.05 under a gradient of 1e-15 at rate 1e-4: Adam moves it with an eps far below the gradient."""
    model = nn.Linear(4, 4, bias=False).to(dtype)
    nn.init.constant_(model.weight, 0.05)
    optimizer = make(model.parameters())
    with watch(model, optimizer) as flow:
        model.weight.grad = torch.full_like(model.weight, gradient)
        optimizer.step()
    (layer,) = flow.last.layers
    assert layer.lost_updates == layer.unmoved == (0.0 if moves else 1.0)


@pytest.mark.parametrize(("dtype", "relative", "share", "error"), [
    (torch.bfloat16, 1e-3, 1.0, 0), (torch.bfloat16, 2e-3, 0.967, 0.01), (torch.bfloat16, 4e-3, 0.0, 0),
    (torch.float16, 3e-4, 0.70, 0.01), (torch.float16, 1e-3, 0.0, 0.005),
])  # fmt: skip
def test_shares_of_relative_updates_that_are_lost(dtype, relative, share, error):
    """C11: an update of `relative` times the weight, element by element."""
    model = nn.Linear(200, 200, bias=False)
    nn.init.normal_(model.weight, generator=torch.Generator().manual_seed(0))
    model = model.to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with watch(model, optimizer) as flow:
        model.weight.grad = (model.weight.detach().float() * relative).to(dtype)
        optimizer.step()
    assert flow.last.layers[0].lost_updates == pytest.approx(share, abs=error)


def reference(model, x, y, scale=1.0):
    """Norms of the gradients at outputs and weights by plain autograd."""
    kept = []
    handles = [model[k].register_forward_hook(lambda m, i, o: kept.append(o)) for k in (0, 3, 5)]
    loss = F.cross_entropy(model(x), y) * scale
    for handle in handles:
        handle.remove()
    weights = [model[k].weight for k in (0, 3, 5)]
    found = torch.autograd.grad(loss, [*kept, *weights])
    return [float(g.norm()) for g in found[:3]], [float(g.norm()) for g in found[3:]]


def test_gradients_equal_autograds():
    model, (x, y) = net().train(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(5)
    outputs, weights = reference(model, x, y)
    torch.manual_seed(5)
    with watch(model, optimizer) as flow:
        train(model, optimizer, 1, lambda _: (x, y))
    assert [layer.output_grad_norm for layer in flow.last.layers] == pytest.approx(outputs)
    assert [layer.grad_norm for layer in flow.last.layers] == pytest.approx(weights)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    model, (x, y) = net().eval().train(), batch()
    model[1].p = 0.0
    outputs, weights = reference(model, x, y)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as flow:
        for part in (slice(0, 6), slice(6, 12)):
            (F.cross_entropy(model(x[part]), y[part]) / 2).backward()
        optimizer.step()
    assert [layer.output_grad_norm for layer in flow.last.layers] == pytest.approx(outputs)
    assert [layer.grad_norm for layer in flow.last.layers] == pytest.approx(weights)


def test_clipped_gradients_are_read_as_the_step_takes_them():
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as flow:
        F.cross_entropy(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        optimizer.step()
    assert sum(layer.grad_norm**2 for layer in flow.last.layers) < 1e-6


@pytest.mark.parametrize("fused", [False, True])
def test_a_scalers_factor_is_taken_out(fused):
    model, (x, y) = net(), batch()
    model[1].p = 0.0
    outputs, weights = reference(model, x, y)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with watch(model, optimizer, scaler=scaler) as flow:
        scaler.scale(F.cross_entropy(model(x), y)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert [layer.output_grad_norm for layer in flow.last.layers] == pytest.approx(outputs)
    assert [layer.grad_norm for layer in flow.last.layers] == pytest.approx(weights)


def test_a_step_that_the_scaler_leaves_out_is_no_record():
    model, (x, y) = net(), batch()
    model[1].p = 0.0
    (record,) = with_a_step_left_out(model, x, y)
    model = net()
    model[1].p = 0.0
    assert [layer.output_grad_norm for layer in record.layers] == pytest.approx(reference(model, x, y)[0])


def test_under_autocast_the_master_weights_are_read():
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as flow:
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x).float(), y)
        loss.backward()
        optimizer.step()
    # Dead units get no gradient; of weights in bfloat16 nearly all would stay. (A sixth here, a third with torch 2.6.)
    assert all(layer.dtype == "float32" and layer.unmoved < 0.4 for layer in flow.last.layers)


def test_several_optimizers_make_one_record_a_round():
    model = net()
    first = torch.optim.SGD(model[:3].parameters(), lr=0.1)
    second = torch.optim.Adam(model[3:].parameters(), lr=1e-2)
    with watch(model, [first, second], every=1) as flow:
        for number in range(2):
            x, y = batch(number)
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            first.step()
            second.step()
        F.cross_entropy(model(x), y).backward()
        first.step()  # the second one is left out this time
        first.step()
    assert [record.step for record in flow.records] == [0, 1, 2]
    assert all(layer.update_norm > 0 for record in flow.records[:2] for layer in record.layers)
    assert [layer.update_norm is None for layer in flow.records[2].layers] == [False, True, True]


def test_a_closure_runs_inside_the_step():
    model, (x, y) = net(), batch()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    with watch(model, optimizer, every=1) as flow:
        optimizer.step(closure)
        optimizer.step(closure)
    assert all(layer.grad_norm > 0 and layer.update_norm > 0 for record in flow.records for layer in record.layers)
    assert all(layer.lost_updates < 0.2 for layer in flow.last.layers)


def test_sparse_complex_and_shared_parameters():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(20, 4, sparse=True)
            self.wave = nn.Parameter(torch.randn(4, 4, dtype=torch.complex64))
            self.one = nn.Linear(4, 4)
            self.two = nn.Linear(4, 4)
            self.two.weight = self.one.weight

        def forward(self, index):
            x = self.table(index)
            return self.two(self.one((x.to(torch.complex64) @ self.wave).abs()))

    torch.manual_seed(0)
    model = Odd()
    twin = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    index = torch.tensor([1, 1, 7])
    twin(index).square().sum().backward()
    with watch(model, optimizer) as flow:
        model(index).square().sum().backward()
        optimizer.step()
    layers = {layer.name: layer for layer in flow.last.layers}
    assert set(layers) == {"wave", "table", "one"}
    assert layers["table"].grad_norm == pytest.approx(float(twin.table.weight.grad.to_dense().norm()))
    assert layers["table"].unmoved == pytest.approx(18 / 20)
    assert layers["table"].lost_updates == 0
    assert layers["wave"].grad_norm == pytest.approx(float(twin.wave.grad.norm()))
    assert layers["one"].output_grad_norm > 0


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_layers_are_counted_once(reentrant):
    class Saving(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net()
            self.inner[1].p = 0.0

        def forward(self, x):
            return checkpoint(self.inner, x, use_reentrant=reentrant)

    model, (x, y) = Saving(), batch()
    outputs, weights = reference(model.inner, x, y)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as flow:
        F.cross_entropy(model(x.requires_grad_()), y).backward()
        optimizer.step()
    assert [layer.grad_norm for layer in flow.last.layers] == pytest.approx(weights)
    assert [layer.output_grad_norm for layer in flow.last.layers] == pytest.approx(outputs)


@pytest.mark.slow
def test_a_compiled_network_has_weights_and_no_stale_outputs():
    model = net()
    compiled = torch.compile(model, backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(compiled, optimizer, every=1) as flow:
        train(compiled, optimizer, 2)
    assert [layer.name for layer in flow.last.layers] == ["0", "3", "5"]
    assert all(layer.grad_norm > 0 and layer.output_grad_norm is None for layer in flow.last.layers)
    assert "the network is compiled" in str(flow.last)


def test_nan_is_named_with_its_layer_and_first_step():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=1) as flow:
        train(model, optimizer, 2)
        assert flow.not_finite is None
        with torch.no_grad():
            model[3].weight[0, 0] = float("nan")
        train(model, optimizer, 2)
    assert flow.not_finite.where == ("3",)
    assert "the output of 3 holds NaN or infinity, the first to do so at step 2" in flow.not_finite.says


def test_an_error_leaves_no_hook_and_nothing_kept():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(RuntimeError), watch(model, optimizer, every=1):
        train(model, optimizer, 2, lambda number: (torch.randn(2, 6 + number), torch.arange(2)))
    assert hooks_on(model, optimizer) == 0


def test_nothing_seen_is_said():
    model = net()
    with (
        watch(model, torch.optim.SGD(model.parameters(), lr=0.1)) as flow,
        pytest.raises(SkipstoneError, match="no step was watched yet"),
    ):
        flow.last  # noqa: B018


def test_what_is_no_optimizer_is_said():
    with (
        pytest.raises(SkipstoneError, match=r"optimizer is a int, expected a torch\.optim\.Optimizer"),
        watch(net(), [3]),
    ):
        pass


def test_a_record_goes_to_loggers_and_through_json():
    class Kept:
        def __init__(self):
            self.records = []

        def log(self, record):
            self.records.append(record)

    model, kept = net(), Kept()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=2, loggers=[kept]) as flow:
        train(model, optimizer, 4)
    assert kept.records == flow.records
    assert FlowRecord.from_dict(json.loads(json.dumps(flow.last.to_dict()))) == flow.last
    named = scalars_of(flow.last)
    assert named["flow/grad_norm/3"] == flow.last.layers[1].grad_norm
    assert named["flow/update_ratio/3"] > 0
    assert named["flow/ills"] == 0
    assert "<svg" in flow._repr_html_()
