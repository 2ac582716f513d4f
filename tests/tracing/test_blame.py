"""A fault of skipstone's own is never told as the network's, and the network's never as skipstone's."""

import tempfile
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import skipstone
from skipstone.core import faults
from skipstone.core.errors import InternalError
from skipstone.tracing import recorder, trace
from skipstone.tracing.memory import Memory


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + F.relu(self.a(x))


class Broken(Net):
    """Stops with whatever `do` raises, in the network's own code or in what that calls."""

    def __init__(self, do):
        super().__init__()
        self.do = do

    def forward(self, x):
        return super().forward(self.do(x))


@pytest.fixture(autouse=True)
def reports(tmp_path, monkeypatch):
    temporary = SimpleNamespace(NamedTemporaryFile=partial(tempfile.NamedTemporaryFile, dir=tmp_path))
    monkeypatch.setattr(faults, "tempfile", temporary)
    return tmp_path


def _ours():
    """A function that fails on a line of a file of skipstone's."""
    names = {}
    file = trace.__globals__["__file__"]
    exec(compile("def planted():\n    raise TypeError('a fault of ours')\n", file, "exec"), names)
    return names["planted"]


class TestOurs:
    """Faults planted in each part of the recorder that stands between the network and torch."""

    @pytest.mark.parametrize(
        ("owner", "name"),
        [
            (recorder, "at_home"),  # before torch is called
            (recorder, "canonical"),  # after it was
            (Memory, "number"),  # where a node is written
            (recorder.Recorder, "_recover"),
        ],
    )
    def test_a_fault_in_the_recorder_is_raised_as_one(self, owner, name, monkeypatch, reports):
        monkeypatch.setattr(owner, name, _planted(getattr(owner, name), after=name != "_recover"))
        model = Broken(lambda x: F.linear(x, torch.ones(2, 2, 2, 2))) if name == "_recover" else Net()
        with pytest.raises(InternalError, match=r"skipstone failed.*TypeError: a fault of ours") as caught:
            skipstone.trace(model, (2, 3, 8, 8))
        assert "in planted" in caught.value.report.read_text(encoding="utf-8")
        assert len(list(reports.iterdir())) == 1

    def test_a_fault_makes_no_size_illegal(self, monkeypatch):
        monkeypatch.setattr(Memory, "number", _planted(Memory.number))
        with pytest.raises(InternalError, match="a fault of ours"):
            skipstone.legal_sizes(Net(), (2, 3, "h", "w"))

    def test_a_fault_inside_a_module_that_may_refuse_its_input_is_no_refusal(self, monkeypatch):
        monkeypatch.setattr(Memory, "number", _planted(Memory.number, after=4))
        with pytest.raises(InternalError, match="a fault of ours"):
            skipstone.trace(nn.Sequential(nn.LSTM(4, 4)), (2, 3, 4))

    def test_what_was_patched_is_whole_after_a_fault(self, monkeypatch):
        apply = torch.autograd.Function.__dict__["apply"]
        monkeypatch.setattr(Memory, "number", _planted(Memory.number))
        with pytest.raises(InternalError):
            skipstone.trace(Net(), (2, 3, 8, 8))
        assert torch.autograd.Function.__dict__["apply"] is apply


def _planted(function, after=1):
    """The function, failing in a line of ours after its `after`-th call."""
    calls = []
    fail = _ours()

    def _planted(*args, **kwargs):
        calls.append(None)
        return fail() if len(calls) > after else function(*args, **kwargs)

    return _planted


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        raise ValueError("in a function of theirs")

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class _Odd(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise ValueError("in a tensor of theirs")


def _own(x):
    raise KeyError("theirs")


def _hooked(x):
    module = nn.Identity()
    module.register_forward_hook(lambda *_: _own(x))
    return module(x)


def _endless(x):
    return _endless(x + 1)


THEIRS = {
    "their own line": _own,
    "torch's refusal of a call": lambda x: torch.linalg.cholesky(x, nonsense=True),
    "torch's refusal of shapes": lambda x: torch.tensordot(x, x, dims=([1], [2])),
    "torch's Python code": lambda x: F.pad(x, (1, 1), mode="nonsense"),
    "arguments that are missing": lambda x: F.linear(x),
    "an argument of another kind": lambda x: F.linear(x, None),
    "an attribute that is not there": lambda x: x.nonsense,
    "a function of theirs": lambda x: _Doubled.apply(x),
    "a tensor of theirs": lambda x: torch.zeros(2).as_subclass(_Odd) + 1,
    "a hook of theirs": _hooked,
    "a checkpoint": lambda x: torch.utils.checkpoint.checkpoint(_own, x, use_reentrant=True),
    "vmap": lambda x: torch.vmap(_own)(x),
    "the standard library": lambda x: "".join([x]),
    "a call that never ends": _endless,
    "a division by a size of zero": lambda x: x.new_zeros(3 // (x.shape[1] - 3)),
}


@pytest.mark.parametrize("do", THEIRS.values(), ids=THEIRS)
def test_what_the_network_or_torch_refuses_is_told_as_before(do, reports):
    graph = skipstone.trace(Broken(do), (2, 3, 8, 8))
    assert graph.stopped is not None or graph.failures
    assert list(reports.iterdir()) == []


@pytest.mark.parametrize("do", THEIRS.values(), ids=THEIRS)
def test_what_the_network_or_torch_refuses_makes_sizes_illegal(do, reports):
    found = skipstone.legal_sizes(Broken(do), (2, "c", 8, 8))
    assert "legal    none" in str(found)
    assert list(reports.iterdir()) == []
