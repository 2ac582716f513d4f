import math
from dataclasses import replace

from skipstone.experiments import read_comparison
from skipstone.report.figures import FlowLine, colours, dots, flow, log_ticks
from skipstone.runs.flow import FlowRecord, LayerFlow


def line(*norms, seed=0):
    return FlowLine("net", "plain", seed, FlowRecord(0, 0, tuple(LayerFlow("l", "conv", n, 1.0) for n in norms)))


def test_a_gradient_of_zero_is_set_at_the_foot_and_counted():
    figure = flow("title", [line(0.0, 1e-3, 1.0)], {"plain": "#d1661a"})
    values = figure.spec["data"]["values"]
    assert [value["norm"] for value in values] == [1e-4, 1e-3, 1.0]
    assert [value["zero"] for value in values] == [True, False, False]
    assert figure.caption == "1 of 3 norms are exactly zero (crosses at the foot)"


def test_a_gradient_that_is_not_finite_is_left_out_and_counted():
    figure = flow("title", [line(math.inf, math.nan, 1.0)], {"plain": "#d1661a"})
    assert len(figure.spec["data"]["values"]) == 1
    assert figure.caption == "2 of 3 are NaN or infinite (left out)"


def test_the_heavy_line_is_the_geometric_mean_over_seeds():
    figure = flow("title", [line(1.0), line(100.0, seed=1)], {"plain": "#d1661a"})
    (mean,) = figure.spec["layer"][1]["data"]["values"]
    assert math.isclose(mean["norm"], 10.0)


def test_log_ticks_enclose_what_they_are_for_and_stay_few():
    for low in (1e-40, 1e-7, 0.012, 0.4, 1.0, 3.0):
        for factor in (1.0, 1.5, 30.0, 1e3, 1e9, 1e38):
            ticks = log_ticks([low, low * factor])
            assert ticks[0] <= low * 1.0000001
            assert ticks[-1] >= low * factor * 0.9999999
            assert 2 <= len(ticks) <= 9
    assert log_ticks([]) == [0.1, 1.0]


def test_dots_hold_every_point_and_interval(folder):
    groups = read_comparison(folder).groups
    figure = dots(groups, "test_accuracy", "Test accuracy")
    low, high = figure.spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    for group in groups:
        assert low < min(*group.test_accuracy.values, group.test_accuracy.low)
        assert high > max(*group.test_accuracy.values, group.test_accuracy.high)


def test_a_family_keeps_its_colour(folder):
    assert list(colours(read_comparison(folder).groups)) == ["plain", "resnet"]


def test_variants_and_options_are_told_apart_and_never_drawn_as_one(folder):
    """Two variants of one network shared a colour, and one heavy line was the mean over both."""
    plain = read_comparison(folder).groups[0]
    groups = [replace(plain, label="a", variant="as-is"), replace(plain, label="b", variant="bare")]
    assert list(colours(groups)) == ["plain as-is", "plain bare"]
    assert len(set(colours(groups).values())) == 2
    assert list(colours([replace(plain, options={"width": width}) for width in (8, 16)])) == [
        "plain width=8", "plain width=16",
    ]  # fmt: skip
    kinds = {"plain as-is": "#d1661a", "plain bare": "#2f7fd1"}
    lines = [replace(line(norm), kind=kind) for kind, norm in zip(kinds, (1.0, 100.0), strict=True)]
    means = flow("title", lines, kinds).spec["layer"][1]["data"]["values"]
    assert [round(mean["norm"], 6) for mean in means] == [1.0, 100.0]


def test_a_narrow_axis_has_decimals(folder):
    groups = read_comparison(folder).groups
    wide = dots(groups, "test_accuracy", "Test accuracy").spec["layer"][0]["encoding"]["x"]["axis"]
    narrow = dots(groups[:1], "test_accuracy", "Test accuracy").spec["layer"][0]["encoding"]["x"]["axis"]
    assert (wide["format"], narrow["format"]) == (".0%", ".1%")
