"""What only real kernels refuse is an error at its module and line; what they don't refuse is none."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from contract import ErrorContract
from skipstone.checks import check
from skipstone.checks.subject import Subject


class Numpy(nn.Module):
    """Positions from numpy: double, unless they are cast."""

    def __init__(self, cast):
        super().__init__()
        self.mix = nn.Linear(8, 8)
        self.positions = np.linspace(0, 1, 8)
        self.cast = cast

    def forward(self, x):
        positions = torch.from_numpy(self.positions)
        x = x + (positions.float() if self.cast else positions)
        return x + self.mix(x)


class TestRefusedInRun(ErrorContract):
    rule = "refused-in-run"
    shape = (2, 8)

    def broken(self):
        return Numpy(cast=False)

    def right(self):
        return Numpy(cast=True)


class Calls(nn.Module):
    """Calls a function of itself and the inputs; keyword arguments are its modules."""

    def __init__(self, function, **modules):
        super().__init__()
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, *inputs):
        return self.function(self, *inputs)


class NoWayBack(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ValueError("no way back")


MAP, ROW, STEPS = torch.randn(2, 4, 8, 8), torch.randn(2, 8), torch.randn(2, 5, 8)
DOUBLE = torch.float64
REFUSED = {
    "linear of double": (nn.Linear(8, 8), ROW.double()),
    "linear of whole numbers": (nn.Linear(8, 8), torch.ones(2, 8, dtype=torch.int64)),
    "half branch": (Calls(lambda m, x: x + m.f(x), f=nn.Linear(8, 8).half()), ROW),
    "layer norm of double": (nn.LayerNorm(8), STEPS.double()),
    "products of two precisions": (Calls(lambda m, x, y: x @ y.t()), (ROW, ROW.double())),
    "output padding": (nn.ConvTranspose2d(4, 4, 3, 1, 1, output_padding=1), MAP),
    "index of a list": (Calls(lambda m, x: x[:, [0, 9]]), ROW),
    "constant index": (Calls(lambda m, x: x.index_select(1, torch.tensor([9]))), ROW),
    "constant token": (Calls(lambda m, x: x + m.e(torch.tensor([12])), e=nn.Embedding(10, 8)), ROW),
    "unpooling": (
        Calls(lambda m, x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=(7, 7))),
        torch.arange(64.0).view(1, 1, 8, 8),
    ),
    "a backward of its own": (Calls(lambda m, x: NoWayBack.apply(m.f(x)), f=nn.Linear(8, 8)), ROW),
}
ALLOWED = {
    "cast": (Calls(lambda m, x: x + m.f(x.half()).float(), f=nn.Linear(8, 8).half()), ROW),
    "double throughout": (nn.Linear(8, 8).double(), ROW.double()),
    "through numpy": (Calls(lambda m, x: x + torch.from_numpy(x.detach().numpy() * 2)), ROW),
    "an index within": (Calls(lambda m, x: x[:, [0, 7]]), ROW),
    "shape of the numbers": (Calls(lambda m, x: x[:, : int(x.abs().max() * 0) + 3] + torch.ones(3)), ROW),
}
# Drawn inputs are not what these take: nothing can be said.
NOT_KNOWN = {
    "probabilities": Calls(lambda m, x: torch.bernoulli(x)),
    "its own check of values": Calls(lambda m, x: x if x.min() >= 0 else m.nothing),
    "an index out of values": Calls(lambda m, x: torch.ones(3)[(x * 100).long()]),
}


def really(model, inputs):
    """Does torch itself run it, forward and backward?"""
    try:
        out = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
        if out.requires_grad:
            out.float().sum().backward()
    except (RuntimeError, ValueError, IndexError):
        return False
    return True


@pytest.mark.parametrize("name", REFUSED)
def test_what_torch_refuses_is_an_error(name):
    model, inputs = REFUSED[name]
    assert not really(model, inputs)
    errors = check(model, inputs, repairs=False, sizes=False).errors
    assert len(errors) == 1
    assert not check(model, inputs, repairs=False, sizes=False, run=False).errors or name == "index of a list"


@pytest.mark.parametrize("name", ALLOWED)
def test_what_torch_runs_is_none(name):
    model, inputs = ALLOWED[name]
    assert really(model, inputs)
    report = check(model, inputs, repairs=False, sizes=False)
    assert not report.errors
    assert report.ran.startswith("run: ")


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_values_that_were_made_up_blame_nobody(name):
    report = check(NOT_KNOWN[name], (4, 8), repairs=False, sizes=False)
    assert not report.errors
    assert "ends in an error in the forward pass" in report.summary


def test_an_error_is_told_once_where_the_record_tells_it_too():
    model = Calls(lambda m, x: x + m.f(x), f=nn.Linear(8, 7))
    assert [f.rule for f in check(model, ROW, repairs=False, sizes=False).errors] == ["channel-mismatch"]


def test_what_the_run_meets_first_is_told_first():
    """The transposed convolution never gives the map whose size the record finds fault with behind it."""
    model = Calls(lambda m, x: x + m.f(x), f=nn.ConvTranspose2d(4, 4, 3, 1, 0, output_padding=1))
    assert check(model, MAP, repairs=False, sizes=False).errors[0].rule == "refused-in-run"


def test_the_place_and_the_operation_are_those_of_the_call():
    (finding,) = check(Numpy(cast=False), (2, 8), repairs=False, sizes=False).errors
    assert finding.module == "mix"
    assert finding.message == "linear: mat1 and mat2 must have the same dtype, but got Double and Float"
    assert finding.operands == ((2, 8), (8, 8))


def test_another_precision_is_never_a_map_too_small():
    model = Calls(lambda m, x: x + m.f(x), f=nn.Conv2d(4, 4, 3, padding=1).half())
    assert [f.rule for f in check(model, MAP, repairs=False, sizes=False).errors] == ["refused-operation"]


def test_without_the_run_the_probe_is_silent():
    subject = Subject.of(Numpy(cast=False), (2, 8))
    assert subject.witness is None
    assert subject.ran == ""


def test_a_network_that_reads_from_an_iterator_it_holds_is_not_called_wrong():
    """It can't be run beside the user's own; that it was not seen is said, and it is no error."""
    model = Calls(lambda m, x: m.f(x) + next(m.noise), f=nn.Linear(8, 8))
    model.noise = (0.01 * i for i in range(10**6))
    report = check(model, ROW, repairs=False, sizes=False)
    assert report.errors == ()
    assert "of which no copy can be made" in report.partial
    assert next(model.noise) == 0.0, "nothing was taken from it"


def test_operands_that_no_record_has_are_those_of_the_run():
    class Quantized(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)

        def forward(self, x):
            y = torch.quantize_per_tensor(self.conv(x), 0.1, 0, torch.quint8)
            return (y + y).dequantize()

    finding = next(f for f in check(Quantized(), (2, 3, 8, 8)).errors if f.rule == "refused-in-run")
    assert finding.operands == ((2, 8, 8, 8), (2, 8, 8, 8))


def test_what_torchs_check_without_data_botches_is_told_in_the_kernels_words():
    def up(m, x):
        return F.interpolate(m.conv(x)[:, :, :0], size=(8, 8))

    model = Calls(up, conv=nn.Conv2d(3, 4, 3, padding=1))
    (finding,) = check(model, (2, 3, 8, 8), repairs=False, sizes=False).errors
    assert finding.rule == "refused-in-run"
    assert "should be greater than 0, but got input (H: 0, W: 8)" in finding.message
    assert "cond must be a bool" in check(model, (2, 3, 8, 8), run=False).partial
