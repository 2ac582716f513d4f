"""Networks that hold what cannot be copied; and trials that allocate nothing."""

import subprocess
import sys
import threading
import warnings

import pytest
import torch
from torch import nn

from skipstone import surgery
from skipstone.core.edit import Connect, ModuleSpec, NarrowInput, ReplaceModule, WidenInput
from skipstone.tracing import trace


class Conv(nn.Module):
    """x + conv(x), the convolution made by the case."""

    def __init__(self, conv):
        super().__init__()
        self.conv = conv

    def forward(self, x):
        return x + self.conv(x)


def weight_normed():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(nn.Conv1d(4, 4, 3, padding=1))


class NonLeafBuffer(nn.Conv1d):
    def __init__(self):
        super().__init__(4, 4, 3, padding=1)
        self.register_buffer("scale", self.weight.sum() * 2)

    def forward(self, x):
        return super().forward(x) * self.scale.detach()


class Locked(nn.Conv1d):
    """A lock in a list in an object, beside a tensor."""

    def __init__(self):
        super().__init__(4, 4, 3, padding=1)
        self.state = type("State", (), {})()
        self.state.kept = [threading.Lock(), torch.ones(2)]


CONVS = {
    "weight_norm": weight_normed,
    "spectral_norm": lambda: nn.utils.spectral_norm(nn.Conv1d(4, 4, 3, padding=1)),
    "parametrization": lambda: nn.utils.parametrizations.weight_norm(nn.Conv1d(4, 4, 3, padding=1)),
    "non-leaf buffer": NonLeafBuffer,
    "lock": Locked,
}


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("name", CONVS)
def test_what_cannot_be_copied_is_no_obstacle(name, in_place):
    torch.manual_seed(0)
    model, x = Conv(CONVS[name]()).double().eval(), torch.randn(2, 4, 8, dtype=torch.float64)
    want = model.conv(x)
    plain = surgery.ablate(model, "all", x, copy=not in_place)
    torch.testing.assert_close(plain(x), want, rtol=0, atol=1e-12)
    plain(x).sum().backward()
    assert all(p.grad is not None for p in plain.conv.parameters())
    assert in_place or all(p.grad is None for p in model.parameters())
    back = surgery.revert(plain)
    torch.testing.assert_close(back(x), x + want, rtol=0, atol=1e-12)


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a * b


def scripted(function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        return torch.jit.script(function)


def test_a_compiled_function_is_shared():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.join = nn.Conv1d(4, 4, 3, padding=1), scripted(product)

        def forward(self, x):
            return self.join(x, x) + self.conv(x)

    model, x = Net(), torch.randn(2, 4, 8)
    plain = surgery.ablate(model, lambda skip: skip.merge == "add", x)
    torch.testing.assert_close(plain(x), model.conv(x))
    assert plain.join is model.join
    assert plain.conv.weight is not model.conv.weight


class Refusing(nn.Linear):
    def __deepcopy__(self, memo):
        raise ValueError("one of a kind")


def test_a_module_that_refuses_is_named():
    with pytest.raises(surgery.SurgeryError, match="Sequential cannot be copied: one of a kind; pass copy=False"):
        surgery.apply(nn.Sequential(Refusing(2, 2)), [ReplaceModule("0", ModuleSpec("Identity"))])


def test_a_trial_makes_no_weights_and_draws_no_random_numbers():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Linear(8, 8)).double()
    conv = ModuleSpec("Conv2d", {"in_channels": 4, "out_channels": 4, "kernel_size": 1})
    edits = [
        ReplaceModule("3", ModuleSpec("Linear", {"in_features": 1 << 24, "out_features": 1 << 24})),
        Connect("0", "2", "add", conv, "zero"), WidenInput("1", 3), NarrowInput("2", ((1, 3),)),
    ]  # fmt: skip
    state = torch.get_rng_state()
    shown = surgery.preview(model, edits)
    assert torch.equal(torch.get_rng_state(), state)
    changed = [shown[3].weight, shown[2].weight, shown[2].skipstone_skip.gain, shown[1].running_var]
    assert [tuple(t.shape) for t in changed] == [(1 << 24, 1 << 24), (4, 2, 1, 1), (), (7,)]
    assert all(t.is_meta and t.dtype == torch.float64 for t in changed)
    assert shown[0].weight is model[0].weight
    assert model[1].running_var.shape == (4,)


def table(size):
    """A layer that reads its values when it is made."""
    layer = nn.Linear(size, size)
    layer.largest = float(layer.weight.abs().max())
    return layer


def test_a_layer_that_reads_its_values_is_tried_for_real():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    shown = surgery.preview(model, [ReplaceModule("0", ModuleSpec(f"{__name__}:table", {"size": 3}))])
    assert shown[0].largest > 0
    assert not trace(shown, (2, 3)).failures


BILLION = """
import resource, sys, torch
from torch import nn
import skipstone
n = 16384
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n, n) for _ in range(4))
        self.out = nn.Linear(n + 1, n)  # a fault, with repairs to try
    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return self.out(x)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
with torch.device("meta"):
    model = Net()
model = model.to_empty(device="cpu")  # pages that nobody has touched take no memory: a copy of them would
assert sum(p.numel() for p in model.parameters()) > 1e9
skipstone.check(nn.Linear(4, 4), (2, 4))
before = peak()
report = skipstone.check(model, (2, n))
assert report.errors and report.errors[0].repairs, report
skipstone.surgery.plan_ablation(model, "all", (2, n))
print(peak() - before)
"""


@pytest.mark.slow
def test_a_billion_parameters_are_checked_in_300_megabytes():
    """Peak resident memory of `check`, with its repairs tried, beyond the model's own."""
    done = subprocess.run([sys.executable, "-c", BILLION], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 300
