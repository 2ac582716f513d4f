"""What a comparison will take, before it is made: nothing is written, and the seeds' power is what simulation says."""

import numpy as np
import pytest
from scipy import stats

from skipstone.cli import run
from skipstone.core.errors import SkipstoneError
from skipstone.experiments import forecast, plan
from skipstone.experiments.forecast import resolvable
from skipstone.runs.records import RunSpec


def test_runs_are_measured_and_nothing_is_written(tmp_path):
    base = RunSpec(options={"width": 4}, epochs=3, device="cpu")
    specs = plan(["plain8", "resnet20"], out=tmp_path / "x", base=base, seeds=3)
    found = forecast(specs, workers=2)
    plain, residual = found.networks
    assert [network.label for network in found.networks] == ["plain8", "resnet20"]
    assert plain.cost.num_parameters == 4_934
    assert 0 < plain.cost.macs < residual.cost.macs
    assert 0 < plain.cost.seconds < 60
    assert plain.cost.peak_bytes > 50_000_000
    assert (found.num_seeds, found.workers) == (3, 2)
    assert found.seconds == pytest.approx(3 * (plain.cost.seconds + residual.cost.seconds) / 2)
    assert not (tmp_path / "x").exists()


def test_a_network_that_cannot_be_is_refused_before_any_is_measured(tmp_path):
    with pytest.raises(SkipstoneError, match="no plain of depth 9"):
        forecast(plan(["plain8", "plain9"], out=tmp_path / "x", base=RunSpec(device="cpu"), seeds=3))


def test_more_epochs_take_longer(tmp_path):
    def seconds(epochs: int) -> float:
        base = RunSpec(options={"width": 4}, epochs=epochs, device="cpu")
        return forecast(plan(["plain8"], out=tmp_path, base=base, seeds=1)).seconds

    assert seconds(100) > 10 * seconds(1)


@pytest.mark.parametrize("seeds", [3, 6])
def test_the_difference_that_seeds_resolve_is_found_in_four_of_five_comparisons(seeds):
    rng = np.random.default_rng(0)
    a = rng.normal(resolvable(seeds), 1, (4000, seeds))
    b = rng.normal(0, 1, (4000, seeds))
    assert np.mean(stats.ttest_ind(a, b, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.02)


def test_nothing_to_forecast():
    with pytest.raises(SkipstoneError, match="nothing to compare: no run was given"):
        forecast([])
    with pytest.raises(SkipstoneError, match="workers is 0, expected at least 1"):
        forecast([RunSpec()], workers=0)


def test_the_command_prints_the_plan(tmp_path, capfd):
    arguments = ["--models", "plain8", "--option", "width=4", "--seeds", "3", "--epochs", "2", "--plan"]
    assert run(["compare", *arguments, "--out", str(tmp_path / "x")]) == 0
    out = capfd.readouterr().out
    assert out.splitlines()[0].split() == ["network", "runs", "parameters", "multiply-adds", "a", "run", "memory"]
    assert "plain8      3         4,934" in out
    assert "3 runs, " in out
    assert "0.6 points at 0.2, 1.5 points at 0.5, 3.1 points at 1.0, 6.1 points at 2.0" in out
    assert not (tmp_path / "x").exists()
