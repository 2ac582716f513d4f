import doctest
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import skipstone.flow.rounding as rounding
from skipstone.core.errors import UnknownNameError
from skipstone.flow import FORMATS, is_lost, largest_movable, round_stochastically, threshold, update_example

BOUND = 2.0**-39  # 1.819e-12


def sgd_step(weight: float, gradient: float, lr: float) -> tuple[float, float]:
    """One step of torch's own SGD on one float32 weight: (before, after)."""
    parameter = torch.nn.Parameter(torch.tensor([weight]))
    parameter.grad = torch.tensor([gradient])
    before = float(parameter.detach())
    torch.optim.SGD([parameter], lr=lr).step()
    return before, float(parameter.detach())


def neighbour(weight: float, towards: float) -> float:
    return float(torch.nextafter(torch.tensor(weight), torch.tensor(towards)))


@pytest.mark.parametrize("gradient", [1e-15, -1e-15])
def test_the_tutorials_gradient_moves_no_weight_above_the_bound(gradient):
    """A gradient of 1e-15 at rate 1e-4 is an update of 1e-19; float32 weights above 2**-39 = 1.819e-12 stay."""
    assert pytest.approx(1.819e-12, rel=1e-3) == BOUND
    for weight in (neighbour(BOUND, 1.0), 1e-11, 1e-6, 0.05, 1.0):
        for signed in (weight, -weight):
            before, after = sgd_step(signed, gradient, 1e-4)
            assert before == after, signed
    for weight in (neighbour(BOUND, 0.0), 1e-12, 1e-15, 0.0):
        for signed in (weight, -weight):
            before, after = sgd_step(signed, gradient, 1e-4)
            assert before != after, signed


def test_at_the_bound_itself_only_the_shrinking_step_counts():
    before, after = sgd_step(BOUND, 1e-15, 1e-4)
    assert after < before
    before, after = sgd_step(BOUND, -1e-15, 1e-4)
    assert after == before


def test_the_example_says_so():
    examples = {e.dtype: e for e in update_example()}
    assert examples["float32"].largest_movable == BOUND
    assert examples["float32"].threshold / 1e-19 == pytest.approx(1.9e10, rel=0.03)
    assert examples["float64"].threshold == 2.0**-58
    assert all(e.lost for e in examples.values())
    assert examples["float16"].largest_movable == 0  # 1e-19 is 0 in float16
    assert "so it is lost" in str(examples["float64"])
    assert "float16 rounds it to 0" in str(examples["float16"])


@pytest.mark.parametrize(
    ("weight", "dtype", "expected"),
    [
        (1, "float32", 5.96e-8), (1, "float16", 4.88e-4), (1, "bfloat16", 3.91e-3),
        (0.05, "float32", 1.86e-9), (0.05, "float16", 1.53e-5), (0.05, "bfloat16", 1.22e-4),
        (0.01, "float32", 4.66e-10), (0.01, "float16", 3.81e-6), (0.01, "bfloat16", 3.05e-5),
    ],
)  # fmt: skip
def test_thresholds(weight, dtype, expected):
    assert threshold(weight, dtype) == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize("dtype", FORMATS)
@given(data=st.data())
def test_the_threshold_parts_lost_from_kept(dtype, data):
    form = FORMATS[dtype]
    low = max(form.smallest_exponent + form.bits, -60)
    exponent = data.draw(st.integers(low, 10))
    mantissa = data.draw(st.integers(1, 2 ** (form.bits - 1) - 1))
    weight = math.ldexp(1 + mantissa / 2 ** (form.bits - 1), exponent)
    edge = threshold(weight, dtype)
    assert is_lost(weight, edge * 0.99, dtype)
    assert is_lost(weight, -edge * 0.99, dtype)
    assert not is_lost(weight, edge * 1.01, dtype)
    assert not is_lost(weight, -edge * 1.01, dtype)
    assert is_lost(weight, edge, dtype) == (mantissa % 2 == 0)  # a tie goes to the even neighbour


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@given(update=st.floats(1e-25, 1e3))
def test_largest_movable_parts_the_weights(dtype, update):
    bound = largest_movable(update, dtype)
    form = FORMATS[dtype]
    below = math.ldexp(2 - 2.0 ** (2 - form.bits), math.frexp(bound)[1] - 2)  # largest even mantissa below the bound
    above = bound * (1 + 2.0 ** (2 - form.bits))  # smallest even mantissa above it
    assert not is_lost(below, update, dtype)
    assert is_lost(above, update, dtype)


@pytest.mark.parametrize(
    ("dtype", "ratio", "expected"),
    [
        (torch.bfloat16, 1e-3, 1.0), (torch.bfloat16, 2.0**-9 * 0.999, 1.0), (torch.bfloat16, 2e-3, 0.967),
        (torch.bfloat16, 2.0**-8 * 1.001, 0.0), (torch.bfloat16, 4e-3, 0.0), (torch.float16, 3e-4, 0.70),
        (torch.float16, 1e-3, 0.0), (torch.float32, 1e-3, 0.0),
    ],
)  # fmt: skip
def test_share_of_relative_updates_lost(dtype, ratio, expected):
    """The sheet's shares, of weights whose logarithms are spread evenly; 0 and 1 are exact, the others to a point.

    Weighing every mantissa alike would not do: an update of 2e-3 is lost at 123 of bfloat16's 128, .961 of them, but
    these hold .972 of the numbers (log2 of 1 + 122.5/128, and those that round up to the next power of two).
    """
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(100_000, generator=generator).exp2().to(dtype)
    weights = weights * torch.randint(0, 2, weights.shape, generator=generator).mul(2).sub(1).to(dtype)
    updated = (weights.double() * (1 + ratio)).to(dtype)
    lost = float((updated == weights).double().mean())
    assert lost == pytest.approx(expected, abs=0 if expected in (0, 1) else 0.01)


def test_every_mantissa_of_bfloat16():
    """A step of 2e-3 of the weight is lost up to a mantissa of 1.953 = 2**-8 / 2e-3: the first 123 of 128."""
    weights = (1 + torch.arange(128) / 128).bfloat16()
    assert ((weights.double() * (1 + 2e-3)).bfloat16() == weights).tolist() == [True] * 123 + [False] * 5


@pytest.mark.parametrize(("dtype", "share"), [(torch.bfloat16, 0.776), (torch.float16, 0.216), (torch.float32, 0.0)])
def test_normal_weights_freeze_under_everyday_steps(dtype, share):
    """Weights and steps normal, a thousandth in root mean square: Karpathy's rule of 1e-3 stagnates in bfloat16."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(400_000, generator=generator).to(dtype)
    steps = (torch.randn(400_000, generator=generator) * 1e-3).to(dtype)
    assert float((weights + steps == weights).double().mean()) == pytest.approx(share, abs=2e-3)


def test_a_thousand_small_steps_round_to_none_or_add_up():
    """1 + 1000 steps of 1e-3: bfloat16 stays at 1, float32 ends at 2.000047, stochastic rounding at 2 on average."""
    nearest, single = torch.ones((), dtype=torch.bfloat16), torch.ones(())
    for _ in range(1000):
        nearest, single = nearest + 1e-3, single + 1e-3
    assert float(nearest) == 1.0
    assert float(single) == pytest.approx(2.000047, abs=5e-7)

    random, runs = torch.Generator().manual_seed(0), 1000
    values = torch.ones(runs, dtype=torch.float64)
    for _ in range(1000):
        values = round_stochastically(values + 1e-3, random=random).double()
    spread = float(values.std())
    assert spread == pytest.approx(0.084, rel=0.05)
    assert float(values.mean()) == pytest.approx(2, abs=3 * spread / runs**0.5)  # +-.008; the sheet has 1.9999


@pytest.mark.parametrize("dtype", FORMATS)
def test_one_stochastic_rounding(dtype):
    """To one of the two neighbours, right on average, with the deviation gap * sqrt(f (1 - f)): .00261 at 1 + 1e-3."""
    value, random = 1 + 2.0**-10, torch.Generator().manual_seed(0)
    form = FORMATS[dtype]
    values = torch.full((200_000,), value, dtype=torch.float64)
    rounded = round_stochastically(values, dtype, random=random)
    assert rounded.dtype == form.dtype
    gap = 2.0 ** (1 - form.bits)
    f = (value - 1) / gap % 1
    spread = gap * math.sqrt(f * (1 - f))
    assert set(rounded.double().tolist()) == ({value} if f == 0 else {1.0, 1.0 + gap})
    assert float(rounded.double().mean()) == pytest.approx(value, abs=4 * spread / 200_000**0.5)
    assert float(rounded.double().std()) == pytest.approx(spread, rel=0.01)
    assert 2.0**-7 * math.sqrt(0.128 * 0.872) == pytest.approx(0.00261, abs=5e-6)


@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -(2.0**-133), 3.3895313892515355e38, float("inf"), float("-inf")])
def test_what_the_format_holds_is_not_rounded(value):
    values = torch.full((100,), value, dtype=torch.float64)
    assert torch.equal(round_stochastically(values).double(), values)


def test_float16_flushes_what_bfloat16_holds():
    """Up to 2**-25 a number is 0 in float16; the gradient behind 50 layers, 3.5e-20, is 3.49e-20 in bfloat16."""
    edge = torch.tensor(2.0**-25)
    assert edge.half() == 0
    assert float(torch.nextafter(edge, edge + 1).half()) == 2.0**-24 == pytest.approx(5.96e-8, abs=5e-11)
    vanished = torch.tensor(3.5e-20)
    assert vanished.half() == 0
    assert float(vanished.bfloat16()) == pytest.approx(3.49e-20, abs=5e-23)


def test_squares_of_adam_underflow_below_1e_23():
    """With the tiny eps that rescues it, Adam's g² is 0 in float32 for gradients below some 1e-23."""
    assert torch.tensor(1e-22).square() > 0
    assert torch.tensor(1e-23).square() == 0


def test_adam_rescues_only_with_a_tiny_eps():
    def step(eps: float) -> float:
        parameter = torch.nn.Parameter(torch.tensor([0.05]))
        parameter.grad = torch.tensor([1e-15])
        torch.optim.Adam([parameter], lr=1e-4, eps=eps).step()
        return float(parameter.detach() - torch.tensor(0.05))

    assert step(1e-8) == 0
    assert step(1e-20) == pytest.approx(-1e-4, rel=1e-3)


def test_counters_stall():
    one = {torch.bfloat16: 2.0**8, torch.float16: 2.0**11, torch.float32: 2.0**24}
    for dtype, stall in one.items():
        count = torch.tensor(stall, dtype=dtype)
        assert count + 1 == count
        assert (count - 1) + 1 == count


def test_unknown_format():
    with pytest.raises(UnknownNameError, match="unknown float format 'float8'; nearest: float"):
        threshold(1.0, "float8")


def test_examples_in_docstrings():
    assert doctest.testmod(rounding).failed == 0
