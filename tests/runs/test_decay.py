import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skipstone.runs.flow import fit_decay


@given(st.floats(0.1, 3), st.integers(3, 60))
def test_a_power_is_found_exactly(factor, layers):
    """Norms that are multiplied by one factor at each layer towards the input."""
    fit = fit_decay([factor**k for k in range(layers - 1, -1, -1)])
    assert fit.factor == pytest.approx(factor, rel=1e-9)
    assert fit.total == pytest.approx(factor ** (layers - 1), rel=1e-6)
    assert fit.r2 == pytest.approx(1)
    assert fit.breaks_at is None


def test_where_the_factor_changes_is_found():
    norms = [0.5**10 * 1.2**k for k in range(10, 0, -1)] + [0.5**k for k in range(10, -1, -1)]
    fit = fit_decay(norms)
    assert fit.breaks_at in (9, 10, 11)
    assert fit.before == pytest.approx(1.2, rel=0.05)
    assert fit.after == pytest.approx(0.5, rel=0.05)


def test_noise_is_no_break():
    wobble = [0.1 * math.sin(7.3 * k) for k in range(30)]
    assert fit_decay([math.exp(-0.2 * k + wobble[k]) for k in range(30)]).breaks_at is None


def test_zeros_and_infinities_are_left_out_and_counted():
    fit = fit_decay([0.0, 0.0, 1.0, 2.0, math.inf, 8.0])
    assert (fit.zeros, fit.layers) == (2, 3)
    assert fit.factor == pytest.approx(0.5)
    assert fit_decay([0.0, 1.0, 2.0]) is None
