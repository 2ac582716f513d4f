"""Verdicts on planted values: every word that a verdict can say is said, and only where the values bear it."""

import pytest

from skipstone.experiments.claims import Arm, Measure, Prediction, judge
from skipstone.experiments.claims.verdict import corrected, weigh

HIGH, LOW = (0.92, 0.93, 0.94, 0.92, 0.93, 0.95), (0.61, 0.62, 0.60, 0.63, 0.61, 0.62)
NOISY, NOISIER = (0.4, 0.9, 0.6, 0.8, 0.5, 0.7), (0.5, 0.8, 0.7, 0.6, 0.9, 0.4)
LABELS = ("a", "b")


def predicted(condition, *, exact=False, margin=0.0, paired=False, lesser=None, bound=1.0):
    measure = Measure("planted", "%", lambda spec: 0.0, exact=exact, bound=bound)
    return Prediction(condition, measure, Arm("plain8"), Arm("resnet8") if lesser is None else lesser, margin, paired)


def evidence(*given, **how):
    return corrected([weigh(predicted(condition, **how), LABELS, first, second) for condition, first, second in given])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([("x", HIGH, LOW), ("y", HIGH, LOW)], "holds"),
        ([("x", HIGH, LOW), ("y", NOISY, NOISIER)], "holds when x"),
        ([("x", HIGH, LOW), ("y", LOW, HIGH), ("z", HIGH, LOW)], "holds when x; z"),
        ([("x", LOW, HIGH), ("y", NOISY, NOISIER)], "does not hold here"),
        ([("x", NOISY, NOISIER)], "does not hold here"),
        ([], "not tried yet"),
    ],
)
def test_each_word(given, said):
    assert str(judge(evidence(*given))) == said


def test_a_condition_holds_where_all_its_predictions_do():
    assert str(judge(evidence(("x", HIGH, LOW), ("x", NOISY, NOISIER), ("y", HIGH, LOW)))) == "holds when y"
    found = judge(evidence(("x", HIGH, LOW), ("x", LOW, HIGH), ("y", NOISY, NOISIER)))
    assert (found.word, found.against, found.unshown) == ("does not hold here", ("x",), ("y",))


def test_what_one_prediction_shows_many_may_not():
    """Holm: p = 0.02 by itself is 0.24 among twelve."""
    first, second = (0.50, 0.52, 0.51, 0.53, 0.50, 0.52), (0.49, 0.50, 0.49, 0.51, 0.50, 0.49)
    [alone] = evidence(("x", first, second))
    assert alone.outcome == "as said"
    assert alone.difference.p is not None
    assert 0.005 < alone.difference.p < 0.05
    many = evidence(("x", first, second), *((f"y{i}", NOISY, NOISIER) for i in range(11)))
    assert many[0].outcome == "not shown"
    assert many[0].p_corrected == pytest.approx(12 * alone.difference.p)


def test_seeds_that_share_their_start_are_told_apart_by_less():
    first = tuple(value + 0.02 for value in NOISY)
    jitter = tuple(value + 0.001 * i for i, value in enumerate(first))
    assert evidence(("x", jitter, NOISY))[0].outcome == "not shown"
    assert evidence(("x", jitter, NOISY), paired=True)[0].outcome == "as said"


def test_no_worse_is_shown_by_the_margin_and_not_by_a_lack_of_difference():
    close = (0.921, 0.932, 0.941, 0.919, 0.931, 0.949)
    [tight] = evidence(("x", close, HIGH), margin=0.02)
    assert tight.outcome == "as said"
    assert tight.difference.low < 0 < tight.difference.high  # of the difference itself, the margin left out
    assert evidence(("x", close, HIGH))[0].outcome == "not shown"
    assert evidence(("x", NOISY, NOISIER), margin=0.02)[0].outcome == "not shown"
    assert evidence(("x", LOW, HIGH), margin=0.02)[0].outcome == "opposite"


def test_a_known_number_is_compared_by_one_sample():
    [found] = evidence(("x", HIGH, (0.5,) * 6), lesser=0.5)
    assert (found.test, found.outcome) == ("one-sample", "as said")
    assert evidence(("x", NOISY, (0.65,) * 6), lesser=0.65)[0].outcome == "not shown"


def test_what_depends_on_no_chance_is_compared_as_it_is():
    assert evidence(("x", (3.0, 3.0), (2.0, 2.0)), exact=True)[0].outcome == "as said"
    assert evidence(("x", (1.0, 1.0), (2.0, 3.0)), exact=True)[0].outcome == "opposite"
    assert evidence(("x", (3.0, 1.0), (2.0, 2.0)), exact=True)[0].outcome == "not shown"
    assert evidence(("x", (2.0, 2.0), (2.0, 2.0)), exact=True)[0].outcome == "not shown"


def test_one_seed_no_spread_and_a_loss_that_is_no_number_show_nothing():
    assert evidence(("x", (0.9,), (0.1,)))[0].outcome == "not shown"
    assert evidence(("x", (0.9,) * 6, (0.1,) * 6))[0].outcome == "not shown"
    assert evidence(("x", (0.9, float("nan"), 0.9), (0.1, 0.2, 0.3)))[0].outcome == "not shown"


def test_intervals_are_cut_to_what_the_measure_can_differ_by():
    wide, narrow = (9.0, 1.0, 5.0), (0.5, 0.1, 0.2)
    assert evidence(("x", wide, narrow), bound=float("inf"))[0].difference.high > 10
    assert evidence(("x", (0.9, 0.1, 0.5), narrow))[0].difference.high <= 1
