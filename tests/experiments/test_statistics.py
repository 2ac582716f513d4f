import math

import numpy as np
import pytest
from scipy import stats

from skipstone.experiments.statistics import effect_size, holm, paired, sample, seed_warnings, welch

A, B = (0.976, 0.981, 0.979), (0.47, 0.38, 0.51)


def test_a_sample_has_students_interval():
    found = sample(A)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(A), scale=stats.sem(A))
    assert (found.n, found.mean) == (3, pytest.approx(np.mean(A)))
    assert found.sd == pytest.approx(np.std(A, ddof=1))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_an_interval_is_cut_to_what_the_measure_can_be():
    assert sample((0.9, 1.0)).high == 1.0
    assert sample((-0.5, 0.5), floor=-1.0).low == -1.0


def test_one_seed_has_no_spread_and_equal_seeds_have_no_interval():
    assert (sample((0.5,)).sd, sample((0.5,)).low) == (None, None)
    assert (sample((0.5, 0.5)).sd, sample((0.5, 0.5)).low) == (0.0, None)
    with pytest.raises(ValueError, match="no values"):
        sample(())


def test_welch_agrees_with_the_formula():
    found = welch(sample(A), sample(B))
    a, b = np.var(A, ddof=1) / 3, np.var(B, ddof=1) / 3
    degrees = (a + b) ** 2 / (a**2 / 2 + b**2 / 2)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(a + b)
    assert found.estimate == pytest.approx(np.mean(A) - np.mean(B))
    assert (found.low, found.high) == (pytest.approx(found.estimate - half), pytest.approx(found.estimate + half))
    assert found.excludes_zero
    assert not welch(sample(A), sample((0.97, 0.99, 0.98))).excludes_zero


def test_welch_needs_a_spread_on_one_side():
    assert welch(sample((0.9,)), sample(B)).low is None
    assert welch(sample((0.9, 0.9)), sample((0.5, 0.5))).low is None
    assert welch(sample((0.9, 0.9, 0.9)), sample(B)).low is not None


def test_welch_covers_the_true_difference_at_three_seeds():
    """The interval's promise: 95 % of such intervals hold the truth (96 % in trials: it is a little cautious)."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        interval = welch(sample(rng.normal(0.8, 0.02, 3)), sample(rng.normal(0.6, 0.05, 3)))
        held += interval.low <= 0.2 <= interval.high
    assert 0.92 <= held / 400 <= 0.99


def test_five_seeds_can_never_reach_significance_and_six_can():
    best = [stats.wilcoxon(range(1, n + 1)).pvalue for n in (5, 6)]
    assert best == [pytest.approx(0.0625), pytest.approx(0.03125)]
    assert "never fall below p = 0.0625" in seed_warnings(5)[0]
    assert "p = 0.25," in seed_warnings(3)[0]
    assert seed_warnings(6) == ()
    assert "One seed" in seed_warnings(1)[0]


def test_the_paired_interval_is_scipys_and_sees_what_welchs_does_not():
    """Seeds that differ much, and a variant that is a little better in each of them."""
    rng = np.random.default_rng(0)
    base = rng.normal(0.7, 0.05, 8)
    better = base + 0.01 + rng.normal(0, 0.003, 8)
    found = paired(sample(better.tolist()), sample(base.tolist()))
    test = stats.ttest_rel(better, base)
    interval = test.confidence_interval(0.95)
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p == pytest.approx(test.pvalue)
    assert found.excludes_zero
    assert not welch(sample(better.tolist()), sample(base.tolist())).excludes_zero


def test_a_single_pair_has_no_interval():
    assert paired(sample((0.5,)), sample((0.4,))).low is None
    with pytest.raises(ValueError, match="zip"):
        paired(sample((0.5, 0.6)), sample((0.4,)))


def test_hedges_g_is_the_difference_in_pooled_spreads():
    """Spreads of 1 and means 2 apart: g = 2 times the correction for four degrees of freedom, 1 - 3 / 15."""
    low, high = sample((1.0, 2.0, 3.0), ceiling=9.0), sample((3.0, 4.0, 5.0), ceiling=9.0)
    assert effect_size(high, low) == pytest.approx(2 * (1 - 3 / 15))
    assert effect_size(low, high) == pytest.approx(-1.6)
    assert effect_size(sample((0.5,)), sample((0.4, 0.5))) is None
    assert effect_size(sample((0.5, 0.5)), sample((0.4, 0.4))) is None


def test_holms_correction():
    """The published example's arithmetic: p_(i) times (m - i + 1), never falling, at most 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
    assert holm([None, 0.04]) == [None, 0.04]


def test_no_difference_among_many_is_found_where_there_is_none():
    """Of 300 comparisons of 10 pairs of equal networks, some pair is established in about 5 % with the correction, and
    in several times as many without it."""
    rng = np.random.default_rng(1)
    with_correction = without = 0
    for _ in range(300):
        ps = [stats.ttest_ind(rng.normal(size=6), rng.normal(size=6), equal_var=False).pvalue for _ in range(10)]
        without += min(ps) < 0.05
        with_correction += min(holm(ps)) < 0.05
    assert with_correction <= 30
    assert without > 80
