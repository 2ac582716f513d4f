import math
from dataclasses import replace

import pytest

from skipstone.experiments import read_comparison, sample
from skipstone.report import words
from skipstone.report.figures import FlowLine
from skipstone.runs.flow import FlowRecord, LayerFlow


def line(*norms, label="net", seed=0):
    layers = tuple(LayerFlow(f"conv{i}", "conv", norm, 1.0) for i, norm in enumerate(norms))
    return FlowLine(label, "family", seed, FlowRecord(0, 0, (*layers, LayerFlow("fc", "linear", 5.0, 1.0))))


def test_the_lead_says_what_was_and_what_was_not_established(folder):
    assert words.lead(read_comparison(folder)) == (
        "At depth 20, no difference in test accuracy was established between resnet20 and plain20. "
        "At depth 56, in test accuracy, resnet56 is 53.2 points above plain56."
    )


def test_a_difference_in_words(folder):
    comparison = read_comparison(folder)
    sentences = [words.sentence(comparison, d) for d in words.ordered(comparison)]
    assert sentences[:2] == [
        "resnet20 97.4 ± 0.3 %, plain20 97.1 ± 0.4 %: no difference established; 0.2 points apart "
        "(Hedges' g 0.6, 95 % interval −0.5 to 1.0, n = 3 and 3).",
        "resnet56 98.2 ± 0.2 %, plain56 45.0 ± 6.6 %: resnet56 is 53.2 points higher "
        "(Hedges' g 9.2, 95 % interval 36.9 to 69.5, n = 3 and 3).",
    ]


def test_a_difference_without_an_interval_says_why(folder):
    comparison = read_comparison(folder)
    single = replace(comparison.groups[0], test_accuracy=sample([0.9]))
    difference = replace(
        comparison.differences[0], test_accuracy=replace(comparison.differences[0].test_accuracy, low=None)
    )
    altered = replace(comparison, groups=(single, *comparison.groups[1:]))
    assert "without an interval (a single seed; n = 3 and 1)" in words.sentence(altered, difference)
    assert words.interval_text(difference) == "none"


def test_a_network_that_fits_badly_is_not_called_overfitted(folder):
    (note,) = words.training_notes(read_comparison(folder).groups)
    assert note.startswith("plain56 reaches 44.7 ± 7.5 % on its own training images")


@pytest.mark.parametrize(
    ("lines", "course"),
    [
        ([line(208.0, 10.0, 1.0)], "grows 208-fold"),
        ([line(1e-20, 1e-10, 1.0)], "shrinks 1.0 × 10²⁰-fold"),
        ([line(2.0, 1.0), line(4.0, 1.0, seed=1)], "same order of magnitude"),
        ([line(0.0, 0.0, 1.0)], "exactly zero in 2 of 4 layers"),
        ([line(math.inf, 1.0)], "NaN or infinite"),
        ([line(1.0, math.nan)], "NaN or infinite"),
    ],
)
def test_what_the_gradient_does(lines, course):
    (note,) = words.flow_notes(lines, "first step")
    assert (note.course, note.n) == (course, len(lines))


def test_means_of_gradients_are_geometric_and_leave_the_classifier_out():
    (note,) = words.flow_notes([line(1.0, 0.5), line(100.0, 0.5, seed=1)], "first step")
    assert (note.first, note.last) == ("10", "0.5")


def test_numbers_in_words():
    assert words.percent(math.nan) == "NaN"
    assert words.spread(sample([0.5])) == "50.0 %"
    assert words.spread(sample([math.nan, 0.5])) == "NaN"
