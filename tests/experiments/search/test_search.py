"""A search over a runner that trains nothing, so that whole searches, cut anywhere, take milliseconds."""

import math
import sys
from dataclasses import replace

import pytest

from scripted_runs import ScriptedRunner
from skipstone.core.errors import SkipstoneError
from skipstone.core.lock import Lock
from skipstone.experiments import comparing
from skipstone.experiments.networks import NetworkRecord
from skipstone.experiments.search import finals, parse_factor, read_found, search
from skipstone.experiments.search.advice import Told, suggest
from skipstone.experiments.search.pruning import floors
from skipstone.experiments.search.searching import Study
from skipstone.report.searched import found_json, found_text, verdict
from skipstone.runs.folder import FolderError
from skipstone.runs.recipe_file import read_setup
from skipstone.runs.records import RunSpec, read_run

BASE = RunSpec(model="skipstone:plain8", options={"width": 4}, epochs=6, device="cpu", flow=False)
SPACE = [parse_factor("lr=0.01..1:log"), parse_factor("dropout=0..0.3")]


@pytest.fixture(autouse=True, scope="module")
def nothing_but_the_search():
    """No forests and no recorded networks: each has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finals, "importance", lambda space, told: ())
        patch.setattr(comparing, "inspect_network", lambda label, specs: NetworkRecord(label))
        yield


def hill(spec):
    """Best at lr = 0.3; a little by seed; the default stands at lr = 0.1."""
    return 0.9 - 0.2 * abs(math.log10(spec.recipe.lr / 0.3)) + 0.001 * (spec.seed % 3)


def flat(spec):
    return 0.8 + 0.001 * (spec.seed * 7 % 5)


def searched(out, quality=hill, **given):
    runner = given.pop("runner", None) or ScriptedRunner(quality)
    return search(BASE, out, space=SPACE, runner=runner, **{"runs": 16, "seeds": 3, "finalists": 2, **given})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "s"
    return out, searched(out)


def lrs(out):
    found = [read_run(folder) for folder in sorted((out / "trials").iterdir())]
    return [record.spec.recipe.lr for record in found]


def test_a_better_setting_is_found_and_shown_over_fresh_seeds(done):
    out, found = done
    assert read_found(out) == found
    assert found.beats_default
    best = found.finalists[0]
    assert abs(math.log10(best.settings["lr"] / 0.3)) < abs(math.log10(0.1 / 0.3))
    assert best.difference.low > 0
    assert found.seeds == (1, 2, 3), "no seed of the trials"
    assert found.num_trials == 16
    assert "beats the default by" in verdict(found)
    assert "beats the default by" in found_json(found)["verdict"]
    assert "  default         1,000" in found_text(found)
    assert f"  trial {best.number:<4}      1,000" in found_text(found)


def test_no_trial_sees_the_test_images_and_the_first_is_the_default(done):
    out, _ = done
    trials = [read_run(folder) for folder in sorted((out / "trials").iterdir())]
    assert all(not trial.spec.test and trial.spec.seed == 0 for trial in trials)
    assert trials[0].spec.recipe == BASE.recipe
    finals = [read_run(folder) for folder in (out / "finals" / "runs").iterdir()]
    assert all(final.spec.test and final.spec.seed > 0 and not final.spec.stop.floors for final in finals)


def test_trials_that_stand_below_the_floors_are_given_up(done):
    out, found = done
    assert found.num_given_up > 0
    cut = [read_run(folder) for folder in (out / "trials").iterdir()]
    cut = [trial for trial in cut if trial.result.stopped == "floor"]
    assert {len(trial.epochs) for trial in cut} <= {2, 4}
    assert not {f"trial{int(trial.folder.name)}" for trial in cut} & {
        f.name.split("_")[0] for f in (out / "finals" / "runs").iterdir()
    }


def test_the_recipe_file_is_what_the_finalist_was(done):
    out, found = done
    setup = read_setup(out / "best.toml")
    assert setup["recipe"].lr == found.finalists[0].settings["lr"]
    assert setup["model"] == "skipstone:plain8"
    assert setup["options"] == {"width": 4, "dropout": found.finalists[0].settings["dropout"]}
    assert setup["epochs"] == 6
    assert (out / "best.toml").read_text().startswith("# skipstone search, trial")


@pytest.mark.parametrize("runs", [5, *(pytest.param(runs, marks=pytest.mark.slow) for runs in range(24))])
def test_cut_anywhere_it_makes_the_same_trials(done, tmp_path, runs):
    out, found = done
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path, runner=ScriptedRunner(hill, dies_after=runs))
    rest = ScriptedRunner(hill)
    again = searched(tmp_path, runner=rest)
    assert lrs(tmp_path) == lrs(out)
    assert again.finalists == found.finalists
    assert len(rest.seen) == 16 + 9 - runs, "nothing that was finished runs again"


def test_more_runs_go_on_and_another_search_is_refused(done, tmp_path):
    searched(tmp_path, runs=8)
    searched(tmp_path, runs=12)
    assert lrs(tmp_path) == lrs(done[0])[:12]
    with pytest.raises(FolderError, match="holds another search: seed is 0 there, 1 here"):
        searched(tmp_path, seed=1)
    with pytest.raises(FolderError, match="holds another search: epochs is 6 there, 7 here"):
        search(replace(BASE, epochs=7), tmp_path, space=SPACE, runner=ScriptedRunner(hill))
    with pytest.raises(FolderError, match="its factors are others"):
        search(BASE, tmp_path, space=SPACE[:1], runner=ScriptedRunner(hill))
    lock = Lock(tmp_path / ".lock")
    assert lock.take()
    with pytest.raises(FolderError, match="is being searched in by another process"):
        searched(tmp_path)
    lock.release()


def test_where_nothing_matters_nothing_is_won(tmp_path):
    found = searched(tmp_path, quality=flat)
    assert not found.beats_default
    assert verdict(found).startswith("Not shown to beat the default: trial")
    assert "is not shown to beat the default" in (tmp_path / "best.toml").read_text()


def test_the_budget_leaves_room_for_the_finals(tmp_path, monkeypatch):
    """Each scripted run says it took six seconds; the rounds here are told to have taken as long, one at a time."""
    ran = Study._run

    def slowly(self, trials):
        ran(self, trials)
        seconds = sum(record.result.wall_seconds for record in self.records().values())
        self._keep(replace(self.trials, seconds=seconds))

    monkeypatch.setattr(Study, "_run", slowly)
    found = searched(tmp_path, quality=flat, runs=None, budget_seconds=200.0)
    # nine finals and a round of four fit behind the trials: 6 * (9 + 4) + trials <= 200 until 20 trials are through
    assert 16 <= found.num_trials <= 24
    assert found.seconds + 9 * 6 <= 200


def test_failures_are_counted_and_a_round_of_nothing_else_ends_the_search(tmp_path):
    runner = ScriptedRunner(hill, fails=lambda spec: spec.recipe.lr > 0.5)
    found = searched(tmp_path / "a", runner=runner)
    assert 0 < found.num_failed < 16
    with pytest.raises(SkipstoneError, match="every trial of the first round failed; the first: planted"):
        searched(tmp_path / "b", runner=ScriptedRunner(hill, fails=lambda spec: True))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"runs": 0}, "runs is 0, expected at least 1"),
        ({"round": 0}, "round is 0"),
        ({"seeds": 0}, "seeds is 0"),
        ({"finalists": -1}, "finalists is -1"),
        ({"budget_seconds": 0.0}, "budget is 0.0 seconds"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_numbers_that_make_no_sense(tmp_path, given, words):
    with pytest.raises(SkipstoneError, match=words):
        searched(tmp_path / "s", **given)
    assert not (tmp_path / "s").exists()


def test_an_option_that_a_network_lacks_is_refused_before_the_first_trial(tmp_path):
    for text in ("nope=1,2", "model=plain9,plain8"):
        with pytest.raises(SkipstoneError, match=r"unknown factor 'nope'|no plain of depth 9"):
            search(BASE, tmp_path / "s", space=[parse_factor(text)], runner=ScriptedRunner(hill))
    assert not (tmp_path / "s").exists()


def test_without_optuna_a_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SkipstoneError, match=r"a search needs Optuna .*pip install 'skipstone\[search\]'"):
        searched(tmp_path)


def test_suggestions_are_new_and_a_space_can_be_exhausted():
    space = [parse_factor("shortcut=A,B"), parse_factor("width=4,8")]
    first = suggest(space, [], count=3, seed=0)
    assert first == suggest(space, [], count=3, seed=0)
    told = [Told(settings, (0.5, 0.6), "whole") for settings in first]
    assert len(first) == 3
    (last,) = suggest(space, told, count=3, seed=3)
    assert last not in first
    assert suggest(space, [*told, Told(last, (), "failed")], count=3, seed=4) == []


def test_floors_are_quartiles_of_whole_trials():
    curves = [[0.1 * k] * 6 for k in range(5)]
    assert floors(curves, 6) == (None, pytest.approx(0.1), None, pytest.approx(0.2), None, None)
    assert floors([*curves[:4], [0.9]], 6) == (), "four are too few, and what was given up does not count"
    assert floors([[0.5]] * 9, 1) == (None,)
