"""A run leaves nothing behind: weights, hooks, random numbers, grad mode, printed lines, threads."""

import io
import random
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import skipstone
from skipstone.execution import Witness, execute, plan
from skipstone.execution.containment import _Muted
from skipstone.execution.copying import CopyError, copied
from skipstone.tracing import parse_example, trace


class Chatty(nn.Module):
    """Prints, warns, draws, counts, keeps what it saw, and a hook of its own writes to a list outside."""

    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
        self.count, self.seen = 0, []
        self.outside = []
        outside = self.outside
        self.a.register_forward_hook(lambda module, args, output: outside.append(output))

    def forward(self, x):
        print("forward")
        print("forward", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        self.count += 1
        self.seen.append(x)
        return self.norm(self.a(x)) + torch.rand(1) + random.random() + np.random.rand()


def ran(model, shape, **how):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return execute(copied(model), ((x,), {}), **how)


def line(place):
    """The text of the line that a place names, which must be of this file."""
    assert place.file == __file__
    return Path(__file__).read_text(encoding="utf-8").splitlines()[place.line - 1]


def test_nothing_of_the_model_or_the_process_changes(capsys):
    model = Chatty()
    model.a.weight.grad = torch.ones(4, 4)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    versions = [parameter._version for parameter in model.parameters()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    hooks, threads, attributes = len(model.a._forward_hooks), torch.get_num_threads(), set(vars(model))
    with torch.no_grad():
        done = ran(model, (3, 4), backward=True)
        assert not torch.is_grad_enabled()
    assert done.ran
    assert done.learns
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [parameter._version for parameter in model.parameters()] == versions
    assert torch.equal(model.a.weight.grad, torch.ones(4, 4))
    assert (model.count, model.seen, model.outside, set(vars(model))) == (0, [], [], attributes)
    assert (len(model.a._forward_hooks), torch.get_num_threads(), model.training) == (hooks, threads, True)
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert (states[2] == np.random.get_state()[1]).all()
    assert capsys.readouterr() == ("", "")


def test_beside_another_thread_the_numbers_drawn_are_put_back_and_follow_the_seed():
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        before = torch.get_rng_state()
        one, two = (ran(nn.Dropout(0.5).train(), (64,), seed=3) for _ in range(2))
        assert torch.equal(before, torch.get_rng_state())
        assert one.equals(two)
    finally:
        over.set()
        other.join()


@pytest.mark.parametrize("broken", [False, True])
def test_what_another_thread_draws_meanwhile_is_not_drawn_again(broken):
    """A network that draws nothing has no need of the generator that all threads share."""
    over, drawn = threading.Event(), []

    def draw():
        while not over.is_set():
            drawn.append(torch.rand(1, dtype=torch.float64).item())

    class Slow(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(40)])

        def forward(self, x):
            for layer in self.layers:
                x = x + layer(x)
            return x.exp_() * x.clamp_(0) if broken else x

    other = threading.Thread(target=draw)
    other.start()
    try:
        report = skipstone.check(Slow(), (2, 8))
    finally:
        over.set()
        other.join()
    assert "run: 2 x 8, " in str(report)
    assert len(drawn) == len(set(drawn)) > 100


def test_the_copy_has_the_models_own_values_and_its_own_memory():
    model = Chatty()
    clone = copied(model)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), clone.model.parameters(), strict=True))
    clone.model.a.weight.data.zero_()
    assert model.a.weight.abs().sum() > 0
    assert all(isinstance(parameter, nn.Parameter) for parameter in clone.model.parameters())


def test_tied_weights_stay_tied_and_views_of_them_move_along():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    twin = copied(model).model
    assert twin[1].weight is twin[0].weight
    lstm = copied(nn.LSTM(4, 4)).model
    assert lstm._flat_weights[0] is lstm.weight_ih_l0


class Exits(nn.Module):
    def forward(self, x):
        sys.exit(3)


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 4), nn.Linear(5, 4))

    def forward(self, x):
        return self.inner(x)


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("no way back")


class NoWayBack(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        return Reversed.apply(self.a(x))


class WrittenOver(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        y = torch.sigmoid(self.a(x))
        y += 1
        return y


def test_an_exit_is_told_and_goes_no_further():
    done = ran(Exits(), (2, 4))
    assert not done.ran
    assert (done.raised.error, done.raised.message, done.raised.stage) == ("SystemExit", "3", "forward")


def test_an_error_is_told_with_its_module_line_and_operation():
    raised = ran(Raises(), (2, 4)).raised
    assert (raised.error, raised.module, raised.op) == ("RuntimeError", "inner.1", "linear")
    assert "cannot be multiplied" in raised.message
    assert "self.inner(x)" in line(raised.place)


def test_an_error_of_the_backward_pass_is_told_as_one():
    raised = ran(NoWayBack(), (2, 4), backward=True).raised
    assert (raised.error, raised.message, raised.stage) == ("ValueError", "no way back", "backward")
    assert ran(NoWayBack(), (2, 4)).ran


def test_a_refused_backward_pass_is_told_at_the_operation_that_lost_its_tensor():
    model, example = WrittenOver(), parse_example((2, 4))
    witness = Witness(model, plan(model, example, trace(model, example)))
    raised = witness.own.raised
    assert (raised.stage, raised.op) == ("backward", "sigmoid")
    assert "torch.sigmoid" in line(raised.place)


def test_a_muted_stream_forgotten_after_its_own_was_closed_says_nothing():
    stream = io.StringIO()
    muted = _Muted(stream)
    stream.close()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(muted.close).result() is None
    assert not muted.closed


class Endless(nn.Module):
    def forward(self, x):
        while True:
            x = x + 1


def test_a_pass_without_end_is_cut_off():
    model = Endless()
    done = execute(copied(model), ((torch.ones(2),), {}), seconds=0.05)
    assert not done.ended
    assert not done.ran


def test_what_other_threads_print_meanwhile_is_not_lost(capsys):
    begun, written = threading.Event(), threading.Event()

    class Prints(nn.Module):
        def forward(self, x):
            begun.set()
            assert written.wait(10)
            print("swallowed")
            return x

    def other():
        assert begun.wait(10)
        print("kept")
        written.set()

    thread = threading.Thread(target=other)
    thread.start()
    assert execute(copied(Prints()), ((torch.ones(2),), {})).ran
    thread.join()
    assert capsys.readouterr().out == "kept\n"


def test_a_model_without_values_cannot_be_copied():
    with torch.device("meta"):
        model = nn.Linear(4, 4)
    with pytest.raises(CopyError, match="meta device"):
        copied(model)


def test_a_lazy_layer_is_sized_on_the_copy_alone():
    model = nn.Sequential(nn.LazyLinear(3), nn.ReLU())
    assert ran(model, (2, 4), backward=True).ran
    assert nn.parameter.is_lazy(model[0].weight)


class Tally(nn.Module):
    """Counts on its class, beside any instance."""

    calls = 0
    seen: list[int] = []  # noqa: RUF012 - shared by all instances, as such code has it

    def forward(self, x):
        type(self).calls += 1
        self.seen.append(1)
        return x


def test_what_the_class_keeps_is_put_back():
    assert ran(Tally(), (2, 4)).ran
    assert (Tally.calls, Tally.seen) == (0, [])
