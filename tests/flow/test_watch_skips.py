"""What each skip contributes inside a loop of one's own: `gradient_flow`'s numbers, and a training left as it was."""

import gc
import threading
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from skipstone.execution.copying import RealClone
from skipstone.flow import gradient_flow, watch


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)
        self.norm, self.drop = nn.BatchNorm1d(width), nn.Dropout(0.3)

    def forward(self, x):
        return x + self.drop(self.two(torch.relu(self.one(self.norm(x)))))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), Block(), Block(), nn.Linear(8, 3))


def batch(seed=1, n=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 6, generator=generator), torch.arange(n) % 3


def train(model, optimizer, steps=1, loss=F.cross_entropy, call=lambda model, x: model(x)):
    for number in range(steps):
        x, y = batch(number)
        optimizer.zero_grad()
        loss(call(model, x), y).backward()
        optimizer.step()


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


NUMBERS = ("ratio", "cosine", "variance_share", "shortcut_grad", "branch_grad", "grad_share", "grad_cosine")


def assert_same(found, expected):
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        assert replace(one, **dict.fromkeys(NUMBERS)) == replace(other, **dict.fromkeys(NUMBERS))
        numbers, expect = ([getattr(skip, name) for name in NUMBERS] for skip in (one, other))
        assert numbers == pytest.approx(expect, rel=1e-5)
        assert one.shortcut_grad > 0 < one.branch_grad


def test_the_skips_are_those_of_a_look_on_the_same_batch_with_the_same_random_numbers():
    model = net()
    torch.manual_seed(7)
    looked = gradient_flow(model, batch(0), skips=True)
    optimizer = sgd(model)
    torch.manual_seed(7)
    with watch(model, optimizer, every=1, skips=True) as flow:
        train(model, optimizer)
    assert_same(flow.last.skips, looked.skips)
    assert flow.last.notes == ()


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another thread"])
def test_training_is_bit_for_bit_what_it_is_without(beside):
    def trained(**options):
        model = net()
        optimizer = sgd(model)
        torch.manual_seed(3)
        if not options:
            train(model, optimizer, 5)
        else:
            with watch(model, optimizer, every=2, **options) as flow:
                train(model, optimizer, 5)
            assert [len(record.skips) for record in flow.records] == [2, 2, 2]
        return [*model.state_dict().values(), *(p.grad for p in model.parameters()), torch.get_rng_state()]

    over = threading.Event()
    other = threading.Thread(target=over.wait)
    if beside:
        other.start()
    try:
        pairs = zip(trained(skips=True), trained(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    finally:
        over.set()
        if beside:
            other.join()


def test_of_micro_batches_the_last_one_and_its_own_loss():
    model = net()
    optimizer = sgd(model)
    torch.manual_seed(7)
    model(batch(0)[0])  # draws what the first micro-batch will draw, and moves the running statistics
    looked = gradient_flow(model, batch(1), lambda o, t: F.cross_entropy(o, t) / 2, skips=True)
    model = net()
    optimizer = sgd(model)
    torch.manual_seed(7)
    with watch(model, optimizer, skips=True) as flow:
        for number in range(2):
            x, y = batch(number)
            (F.cross_entropy(model(x), y) / 2).backward()
            x.zero_()  # a loader may use its buffer again
        with torch.no_grad():
            model(x)
        optimizer.step()
    assert_same(flow.last.skips, looked.skips)


def test_under_autocast_with_a_scaler():
    model, (x, y) = net(), batch()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", init_scale=1024.0)
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16):
        looked = gradient_flow(model, (x, y), lambda o, t: F.cross_entropy(o.float(), t), skips=True)
    torch.manual_seed(7)
    with watch(model, optimizer, skips=True, scaler=scaler) as flow:
        with torch.autocast("cpu", torch.bfloat16):
            out = model(x)
        scaler.scale(F.cross_entropy(out.float(), y)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert {skip.dtype for skip in flow.last.skips} == {"bfloat16"}
    for one, other in zip(flow.last.skips, looked.skips, strict=True):
        assert one.ratio == pytest.approx(other.ratio)
        assert one.shortcut_grad == pytest.approx(other.shortcut_grad, rel=0.02)  # rounded at another scale
        assert one.grad_share == pytest.approx(other.grad_share, rel=0.02)


def test_a_closure_and_a_checkpoint_around_the_network():
    model, (x, y) = net(), batch()
    x.requires_grad_()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=2)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(checkpoint(model, x, use_reentrant=False), y)
        loss.backward()
        return loss

    with watch(model, optimizer, every=1, skips=True) as flow:
        optimizer.step(closure)
    assert [skip.note for skip in flow.last.skips] == ["", ""]
    assert all(skip.shortcut_grad > 0 for skip in flow.last.skips)


class Inner(nn.Module):
    """Its loss has a part in its insides, as a mixture of experts' balance has."""

    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        self.inside = self.net[1](self.net[0](x))
        return self.net[3](self.net[2](self.inside))


class WithLoss(nn.Module):
    """Its outputs are made of one another, as those of networks that compute their own loss."""

    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x, labels):
        logits = self.net(x)
        loss = F.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits, "sure": logits.softmax(1), "own": logits.detach()}


def test_outputs_that_are_made_of_one_another():
    model, (x, y) = WithLoss(), batch()
    optimizer = sgd(model)
    torch.manual_seed(7)
    own = lambda out, _: out["loss"] + out["sure"].square().mean()  # noqa: E731
    looked = gradient_flow(model, ({"x": x, "labels": y}, None), own, skips=True)
    torch.manual_seed(7)
    with watch(model, optimizer, skips=True) as flow:
        own(model(x, labels=y), None).backward()
        optimizer.step()
    assert flow.last.notes == ()
    assert_same(flow.last.skips, looked.skips)


def refused(model, **options):
    optimizer = sgd(model)
    with watch(model, optimizer, skips=True) as flow:
        train(model, optimizer, **options)
    assert flow.last.skips == ()
    assert flow.last.layers[0].grad_norm > 0
    (note,) = flow.last.notes
    return note


def test_why_it_cannot_be_had_is_said():
    inner = Inner()
    both = lambda out, y: F.cross_entropy(out, y) + inner.inside.square().mean()  # noqa: E731
    assert "something inside has a part in the loss" in refused(inner, loss=both)
    assert "the network itself was not called" in refused(net(), call=lambda model, x: model.forward(x))
    assert "no gradient came back" in refused(net(), call=lambda model, x: (model(x), model.forward(x))[1])


@pytest.mark.slow
def test_of_a_compiled_network_it_is_said_what_to_do():
    model = net()
    optimizer = sgd(model)
    with watch(torch.compile(model, backend="eager"), optimizer, skips=True) as flow:
        F.cross_entropy(model.forward(batch()[0]), batch()[1]).backward()
        optimizer.step()
    assert "the skips: the network is compiled; hand the uncompiled one to watch" in str(flow.last)


def test_nothing_is_kept_behind_a_step():
    model = net()
    optimizer = sgd(model)
    with watch(model, optimizer, every=1, skips=True) as flow:
        for number in range(3):
            x, y = batch(number)
            out = model(x)  # held by the loop while the next step begins
            optimizer.zero_grad()
            F.cross_entropy(out, y).backward()
            optimizer.step()
        assert not any(type(o) is RealClone for o in gc.get_objects())  # without a collection: no cycles
    assert len(flow.records) == 3
    with pytest.raises(RuntimeError), watch(model, optimizer, every=1, skips=True) as flow:
        model(x[:, :2])
    assert flow._rerun._call is None
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()) == 0
