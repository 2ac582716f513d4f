"""The watch on a GPU: what it reads is autograd's, nothing waits for the device within a step, memory is given back.

    pytest -m gpu tests/flow

The loops are those of test_watch.py, where everything but the device is looked at.
"""

import copy
import gc
import warnings
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from flow_loops import with_a_step_left_out
from skipstone.flow import gradient_flow, watch
from skipstone.models import create

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]
DEVICE = "cuda"
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "sgd, fused": lambda p: torch.optim.SGD(p, lr=0.1, fused=True),
    "adam, foreach": lambda p: torch.optim.Adam(p, lr=1e-2, foreach=True),
    "adam, capturable": lambda p: torch.optim.Adam(p, lr=1e-2, capturable=True),
    "adamw, fused": lambda p: torch.optim.AdamW(p, lr=1e-2, fused=True),
}
if hasattr(torch.optim, "Muon"):
    OPTIMIZERS["muon"] = lambda p: torch.optim.Muon([q for q in p if q.ndim == 2], lr=1e-2)


def net(dtype=torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)
    return nn.Sequential(*layers).to(DEVICE, dtype)


def batch(seed=1, n=12):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    return x.to(DEVICE), (torch.arange(n) % 3).to(DEVICE)


def reference(model, x, y, scale=1.0):
    """Norms of the gradients at outputs and weights by plain autograd."""
    kept = []
    handles = [model[k].register_forward_hook(lambda m, i, o: kept.append(o)) for k in (0, 2, 4)]
    loss = F.cross_entropy(model(x).float(), y) * scale
    for handle in handles:
        handle.remove()
    weights = [model[k].weight for k in (0, 2, 4)]
    found = torch.autograd.grad(loss, [*kept, *weights])
    return [float(g.float().norm()) for g in found[:3]], [float(g.float().norm()) for g in found[3:]]


@contextmanager
def nothing_waits():
    """Where the host waits for the device, torch raises."""
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # the mode is a prototype, it says
            torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_are_autograds_and_the_update_is_the_weights(name):
    model, (x, y) = net(), batch()
    optimizer, before = OPTIMIZERS[name](model.parameters()), copy.deepcopy(model)
    outputs, weights = reference(model, x, y)
    with watch(model, optimizer, every=1) as flow:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert [layer.output_grad_norm for layer in flow.last.layers] == pytest.approx(outputs, rel=1e-5)
    assert [layer.grad_norm for layer in flow.last.layers] == pytest.approx(weights, rel=1e-5)
    for layer, k in zip(flow.last.layers, (0, 2, 4), strict=True):
        old, new = before[k].weight.detach(), model[k].weight.detach()
        assert layer.weight_norm == pytest.approx(float(old.norm()), rel=1e-5)
        assert layer.update_norm == pytest.approx(float((new - old).norm()), rel=1e-4)
        assert layer.unmoved == float((new == old).double().mean())


def test_training_comes_out_as_without_the_watch():
    watched, alone = net(), net()
    for model in (watched, alone):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        with watch(watched, optimizer, every=2):
            for number in range(6):
                optimizer.zero_grad()
                F.cross_entropy(model(batch(number)[0]), batch(number)[1]).backward()
                optimizer.step()
    assert all(torch.allclose(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))


@pytest.mark.parametrize("fused", [False, True])
def test_a_scalers_factor_is_taken_out_under_autocast(fused):
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler(DEVICE, init_scale=1024.0)
    with torch.autocast(DEVICE, torch.float16):
        outputs, weights = reference(model, x, y)
    with watch(model, optimizer, scaler=scaler) as flow:
        with torch.autocast(DEVICE, torch.float16):
            loss = F.cross_entropy(model(x).float(), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    assert [layer.output_grad_norm for layer in flow.last.layers] == pytest.approx(outputs, rel=1e-2)
    assert [layer.grad_norm for layer in flow.last.layers] == pytest.approx(weights, rel=1e-2)


def test_a_step_that_the_scaler_leaves_out_is_no_record():
    model, (x, y) = net(), batch()
    (record,) = with_a_step_left_out(model, x, y)
    assert all(layer.output_grad_norm > 0 for layer in record.layers)
    assert [layer.output_grad_norm for layer in record.layers] == pytest.approx(reference(net(), x, y)[0], rel=1e-3)


def test_float16_gradients_underflow_without_a_scaler():
    model, (x, y) = net(torch.float16), batch()
    record = gradient_flow(model, (x.half(), y), lambda o, t: F.cross_entropy(o.float(), t) * 1e-4)
    assert "gradient underflow" in [verdict.kind for verdict in record.verdicts]


def test_within_a_step_nothing_waits_for_the_device():
    """Forward, backward and the gradients' reading go on while the device works; the record waits, once made."""
    model, (x, y) = net(), batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=1) as flow:
        F.cross_entropy(model(x), y).backward()
        optimizer.step()  # what is set up at the first use may wait
        optimizer.zero_grad()
        with nothing_waits():
            F.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert len(flow.records) == 2


def test_memory_is_given_back():
    model = create("resnet8", width=8).to(DEVICE)
    x, y = torch.randn(4, 3, 32, 32, device=DEVICE), torch.arange(4, device=DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    held = []
    with watch(model, optimizer, every=1, skips=True):
        for _ in range(30):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            gc.collect()
            held.append(torch.cuda.memory_allocated())
    assert max(held[5:]) == held[5]


def test_skips_are_the_cpus():
    model, x = create("resnet8", width=8), torch.randn(4, 3, 32, 32)
    y = torch.arange(4)
    there = gradient_flow(copy.deepcopy(model).to(DEVICE), (x.to(DEVICE), y.to(DEVICE)), skips=True)
    here = gradient_flow(model, (x, y), skips=True)
    for one, other in zip(there.skips, here.skips, strict=True):
        assert one.ratio == pytest.approx(other.ratio, rel=1e-2)
        assert one.grad_share == pytest.approx(other.grad_share, rel=1e-2, abs=1e-3)


def test_a_step_captured_in_a_graph_is_no_record():
    """While a graph is captured nothing may wait for the device; its replays call no Python and so make no record."""
    model, (x, y) = net(), batch()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2, capturable=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    with watch(model, optimizer, every=1) as flow:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        before = [p.detach().clone() for p in model.parameters()]
        graph.replay()
    assert len(flow.records) == 3
    assert not all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
