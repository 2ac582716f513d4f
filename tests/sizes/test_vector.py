"""A number at many points computes as Python computes each of them; a decision keeps the points that share it."""

import math
import operator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skipstone.sizes.vector import Sweep, values_of

POINTS = np.array([1, 2, 3, 5, 8, 13, 21, 64, 100, 223], dtype=np.int64)
BINARY = (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod)
COMPARE = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


def sweep(focus=5):
    return Sweep({"h": POINTS}, focus)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(BINARY), st.sampled_from(BINARY), st.integers(1, 40), st.integers(1, 40))
def test_arithmetic(first, second, a, b):
    size = second(first(sweep().symbol("h"), a), b)
    assert values_of(size, len(POINTS)).tolist() == [second(first(int(h), a), b) for h in POINTS]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(COMPARE), st.integers(0, 230), st.integers(0, len(POINTS) - 1))
def test_a_decision_keeps_the_points_that_share_it(compare, bound, focus):
    points = sweep(focus)
    answer = bool(compare(points.symbol("h"), bound))
    told = [compare(int(h), bound) for h in POINTS]
    assert answer == told[focus]
    assert points.alive.tolist() == [t == told[focus] for t in told]


def test_floats_and_rounding():
    size = sweep().symbol("h")
    assert values_of(math.floor(size * 0.3), 10).tolist() == [math.floor(h * 0.3) for h in POINTS.tolist()]
    assert values_of(math.ceil(size / 7), 10).tolist() == [math.ceil(h / 7) for h in POINTS.tolist()]
    assert values_of(torch.sym_max(size, 9), 10).tolist() == [max(h, 9) for h in POINTS.tolist()]


def test_division_by_zero_ends_those_points_only():
    points = sweep()
    10 // (points.symbol("h") - 1)
    assert points.alive.tolist() == [h != 1 for h in POINTS]
    with pytest.raises(ZeroDivisionError):
        10 // (sweep(0).symbol("h") - 1)


def test_a_size_is_the_key_of_no_cache():
    """A library keeps what it computed for a shape, and would give it to the user's own passes later on."""
    with pytest.raises(TypeError, match="unhashable"):
        hash(torch.Size((2, sweep().symbol("h"))))


def test_a_size_used_as_a_number_is_settled():
    assert list(range(sweep(2).symbol("h"))) == [0, 1, 2]


def test_a_check_of_torch_refuses_the_other_points():
    points = sweep()
    torch._check(points.symbol("h") >= 8)
    assert points.alive.tolist() == (POINTS >= 8).tolist()
    assert [mask.tolist() for mask in points.failed] == [(POINTS < 8).tolist()]
