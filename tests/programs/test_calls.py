"""The watch: root calls only, their form only, nothing kept alive, and the class as it was afterwards."""

import gc
import threading
import traceback
import weakref

import pytest
import torch
from torch import nn

from failing_networks import Residual
from skipstone import check
from skipstone.programs.calls import Watch


@pytest.fixture
def watch():
    watch = Watch()
    watch.start()
    yield watch
    watch.stop()


def test_only_the_root_is_noted_and_only_its_form(watch):
    net = nn.Sequential(Residual(), nn.Flatten())
    net(torch.zeros(2, 3, 4, 4))
    net(torch.zeros(5, 3, 4, 4, dtype=torch.float32))
    ((root, call),) = watch.roots()
    assert root is net
    assert call.number == 2
    assert call.training
    (tensor,) = call.example().args
    assert tensor.shape == (5, 3, 4, 4)
    assert tensor.is_meta


def test_nests_and_plain_values_come_back_and_objects_are_not_kept(watch):
    class Batch:
        pass

    class Net(nn.Module):
        def forward(self, x, masks, batch, *, scale):
            return x["a"] * scale

    batch = Batch()
    net = Net()
    net({"a": torch.zeros(2)}, [torch.zeros(3, dtype=torch.bool), None], batch, scale=2.0)
    example = watch.last(net).example()
    assert example.args[0]["a"].shape == (2,)
    assert example.args[1][0].dtype == torch.bool
    assert example.args[1][1] is None
    assert example.args[2] is batch
    assert example.kwargs == {"scale": 2.0}
    del batch, example
    gc.collect()
    assert watch.last(net).example().args[2] is None


def test_nothing_lives_longer_for_being_watched(watch):
    net, x = Residual(), torch.zeros(1, 3, 4, 4)
    net(x)
    gone = [weakref.ref(net), weakref.ref(x)]
    del net, x
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
    assert not list(watch.roots())


def test_memory_does_not_grow_with_the_calls(watch):
    net = Residual()
    for _ in range(100):
        net(torch.zeros(1, 3, 4, 4))
    assert len(list(watch.roots())) == 1


def test_a_check_made_by_the_program_is_none_of_its_calls(watch):
    net = Residual()
    check(net, (2, 3, 4, 4))
    assert not list(watch.roots())


def test_threads_have_roots_of_their_own(watch):
    nets = [Residual() for _ in range(4)]
    threads = [threading.Thread(target=net, args=(torch.zeros(1, 3, 4, 4),)) for net in nets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {id(root) for root, _ in watch.roots()} == {id(net) for net in nets}


def test_the_class_is_as_it_was_afterwards():
    before = nn.Module.__call__
    watch = Watch()
    watch.start()
    watch.start()
    assert nn.Module.__call__ is not before
    watch.stop()
    assert nn.Module.__call__ is before


def printed_by_the_program():
    try:
        nn.Sequential(Residual())(torch.zeros(2, 4, 8, 8))
    except RuntimeError:
        return traceback.format_exc()


def test_a_traceback_that_the_program_prints_itself_reads_as_without_us(watch):
    watched = printed_by_the_program()
    watch.stop()
    plain = printed_by_the_program()
    assert watched == plain
    assert "^^^" in plain


def test_a_call_that_somebody_else_has_replaced_is_watched_too(monkeypatch):
    seen, plain = [], nn.Module.__call__
    monkeypatch.setattr(nn.Module, "__call__", lambda self, *args, **kwargs: seen.append(self) or plain(self, *args))
    outer, inner = Watch(), Watch()
    outer.start()
    inner.start()
    net = nn.Sequential(Residual())
    net(torch.zeros(1, 3, 4, 4))
    inner.stop()
    outer.stop()
    assert len(seen) == 3
    assert [[root for root, _ in watch.roots()] for watch in (outer, inner)] == [[net], [net]]


def test_a_call_that_raises_ends_as_any_other(watch):
    net = nn.Sequential(Residual())
    for _ in range(2):
        with pytest.raises(RuntimeError):
            net(torch.zeros(2, 4, 8, 8))
    assert [(root, call.number) for root, call in watch.roots()] == [(net, 2)]


@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")
def test_a_compiled_network_is_compiled_alike(watch):
    from torch._dynamo.testing import CompileCounter

    net, x = Residual(), torch.randn(2, 3, 4, 4)
    counter = CompileCounter()
    compiled = torch.compile(net, backend=counter)
    assert torch.equal(compiled(x), net(x))
    watched = counter.frame_count, counter.op_count
    watch.stop()
    torch._dynamo.reset()
    counter = CompileCounter()
    torch.compile(Residual(), backend=counter)(x)
    assert (counter.frame_count, counter.op_count) == watched
