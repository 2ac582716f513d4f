"""Epochs by equal work or time. What a run costs is measured in test_forecast.py; here it is told."""

import json
import math
from dataclasses import replace

import pytest

from skipstone.core.errors import SkipstoneError
from skipstone.experiments import compare, matched, matching, plan
from skipstone.experiments.forecast import Forecast, NetworkForecast
from skipstone.report import write_report
from skipstone.report.words import MATCHED
from skipstone.runs.records import RunSpec, read_run
from skipstone.training.measure import RunCost

BASE = RunSpec(epochs=6, options={"width": 4}, device="cpu", flow=False)
COSTS = {
    "plain8": RunCost(1000, 100, 3.0, 0),
    "resnet8": RunCost(1000, 150, 4.0, 0),
    "resnet20": RunCost(1, 2000, 99.0, 0),
}


@pytest.fixture
def told(monkeypatch):
    asked = []

    def forecast(specs, *, workers=None):
        asked.append(len(specs))
        labels = dict.fromkeys(spec.model.removeprefix("skipstone:") for spec in specs)
        return Forecast(tuple(NetworkForecast(label, 2, COSTS[label]) for label in labels), 2, 1, 0.0, 0, ())

    monkeypatch.setattr(matching, "forecast", forecast)
    return asked


def epochs(specs):
    return [spec.epochs for spec in specs if spec.seed == 0]


def test_each_network_has_the_firsts_work_or_time(told, tmp_path):
    specs = plan(["plain8", "resnet8", "resnet20"], out=tmp_path, base=BASE, seeds=2)
    assert epochs(matched(specs, "macs", tmp_path / "a")) == [6, 4, 1], "at least one"
    assert epochs(matched(specs, "time", tmp_path / "b")) == [6, 4, 1]
    assert matched(specs, "epochs", tmp_path / "c") == specs
    assert not (tmp_path / "c").exists()


def test_what_was_measured_stands(told, tmp_path, monkeypatch):
    specs = plan(["plain8", "resnet8"], out=tmp_path, base=BASE, seeds=2)
    matched(specs, "time", tmp_path, keep=False)
    assert list(tmp_path.iterdir()) == []
    first = matched(specs, "time", tmp_path)
    monkeypatch.setitem(COSTS, "resnet8", RunCost(1000, 150, 1.0, 0))
    assert matched(specs, "time", tmp_path) == first
    assert len(told) == 2
    for changed in (plan(["plain8"], out=tmp_path, base=BASE, seeds=2), specs):
        with pytest.raises(SkipstoneError, match=r"matched otherwise \(time\); choose another folder"):
            matched(changed, "macs", tmp_path)


def test_a_budget_has_room_for_whole_epochs(told, tmp_path):
    specs = plan(["plain8", "resnet8"], out=tmp_path, base=BASE, seeds=2)
    assert epochs(matched(specs, "time", tmp_path / "a", budget=2.1)) == [4, 3], "6 epochs take 3 and 4 seconds"
    longer = [replace(spec, epochs=99) for spec in specs]
    assert epochs(matched(longer, "time", tmp_path / "a", budget=2.1)) == [4, 3], "what was measured stands"
    with pytest.raises(SkipstoneError, match="matched otherwise"):
        matched(specs, "time", tmp_path / "a", budget=2.2)
    with pytest.raises(SkipstoneError, match="matched otherwise"):
        matched(specs, "time", tmp_path / "a")
    with pytest.raises(SkipstoneError, match=r"budget of 0\.6 s has no room for an epoch of resnet8, which takes 1 s"):
        matched(specs, "time", tmp_path / "b", budget=0.6)
    with pytest.raises(SkipstoneError, match="a budget is of time, and the networks are matched by macs"):
        matched(specs, "macs", tmp_path / "b", budget=2.1)
    for budget in (math.nan, math.inf, -5.0, 0.0):
        with pytest.raises(SkipstoneError, match=r"the budget is (nan|inf|-5|0) s, expected more than 0, and finite"):
            matched(specs, "time", tmp_path / "b", budget=budget)
    assert not (tmp_path / "b").exists()


def test_what_cannot_be_matched_is_said(tmp_path, monkeypatch):
    specs = plan(["plain8"], out=tmp_path, base=BASE, seeds=1)
    for network, words in (
        (NetworkForecast("plain8", 1, None, "raised"), "plain8 cannot be matched: raised"),
        (NetworkForecast("plain8", 1, RunCost(1, 0, 1.0, 0)), "its macs are not known; match by time"),
    ):
        monkeypatch.setattr(matching, "forecast", lambda specs, workers, n=network: Forecast((n,), 1, 1, 0.0, 0, ()))
        with pytest.raises(SkipstoneError, match=words):
            matched(specs, "macs", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_matched_comparison_and_one_that_stops_early_are_reported(tmp_path):
    specs = plan(["plain8", "resnet14"], out=tmp_path, base=BASE, seeds=2)
    specs = matched(specs, "macs", tmp_path)
    assert epochs(specs)[1] == 3
    comparison = compare(specs, tmp_path, match="macs", workers=2)
    assert [(group.label, group.epochs) for group in comparison.groups] == [("plain8", 6), ("resnet14", 3)]
    assert all(group.seconds > 0 for group in comparison.groups)
    assert len(read_run(specs[-1].out).epochs) == 3
    page = write_report(tmp_path).read_text()
    assert f"epochs matched by {MATCHED['macs']} (plain8 6, resnet14 3)" in page
    macs = [network["macs"] for network in json.loads((tmp_path / "networks.json").read_text())["networks"]]
    assert macs[1] / macs[0] == pytest.approx(6 / 3, rel=0.2)
    with pytest.raises(SkipstoneError, match="must share their epochs, found 3, 6"):
        compare(specs, tmp_path)
