import random

from skipstone.experiments.search import importance as module
from skipstone.experiments.search.advice import Told
from skipstone.experiments.search.importance import importance
from skipstone.experiments.search.space import parse_factor

SPACE = [parse_factor("lr=0..1"), parse_factor("width=1..20"), parse_factor("shortcut=A,B")]


def trials(number, quality, end="whole"):
    draw = random.Random(0)
    settings = [
        {"lr": draw.random(), "width": draw.randint(1, 20), "shortcut": draw.choice("AB")} for _ in range(number)
    ]
    return [Told(each, (quality(each, draw),), end) for each in settings]


def test_the_factor_that_matters_is_found_and_the_others_are_not(monkeypatch):
    monkeypatch.setattr(module, "_REPEATS", 2)
    monkeypatch.setattr(module, "_TREES", 8)
    found = importance(SPACE, trials(30, lambda each, draw: each["lr"] + 0.05 * draw.random()))
    lr, *others = found
    assert lr.factor == "lr"
    assert lr.low > lr.chance
    assert all(other.share < 0.15 and other.low <= other.chance for other in others)
    assert abs(sum(each.share for each in found) - 1) < 1e-6


def test_few_trials_and_a_single_factor_say_nothing():
    assert importance(SPACE, trials(9, lambda each, draw: 0.5)) == ()
    assert importance(SPACE[:1], trials(30, lambda each, draw: 0.5)) == ()
    assert importance(SPACE, trials(30, lambda each, draw: 0.5, end="failed")) == ()


def test_what_was_given_up_ranks_below_what_got_further():
    whole, early, late = Told({}, (0.1, 0.2), "whole"), Told({}, (0.9,), "given up"), Told({}, (0.9, 0.1), "given up")
    assert module._ranks([whole, early, late]) == [2, 0, 1]
    assert module._ranks([whole, whole]) == [0.5, 0.5]
