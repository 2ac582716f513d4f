"""The table of claims: a file each, predictions that can be told apart, what is counted, the page's drift."""

from pathlib import Path

import pytest

from skipstone.core.errors import UnknownNameError
from skipstone.experiments.claims import CLAIMS, SETTINGS, Arm, Setting, claims_named, kept_claims, runs_of
from skipstone.experiments.claims.depth_or_width import _EIGHTHS
from skipstone.experiments.claims.looking import GRADIENT_DECADES, LAST_CHANNELS, PARAMETERS, moved
from skipstone.report.claimed import claims_page

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "src/skipstone/experiments/claims"
MACHINERY = {"__init__", "claim", "looking", "measures", "records", "trying", "verdict"}


def test_one_claim_a_file():
    files = {path.stem for path in FOLDER.glob("*.py")} - MACHINERY
    assert files == {claim.name.replace("-", "_") for claim in CLAIMS}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_predictions_are_told_apart(claim):
    said = [(p.condition, p.measure.name) for p in claim.predictions]
    assert len(set(said)) == len(said)
    assert all(p.arms for p in claim.predictions)
    assert claim.said.endswith(".")
    assert claim.tested.endswith(".")


@pytest.mark.parametrize("name", SETTINGS)
def test_runs_differ_and_no_two_share_a_folder(name, tmp_path):
    specs = runs_of(CLAIMS, SETTINGS[name], tmp_path)
    assert len(specs) == len({(s.model, str(s.options), s.recipe, s.val_fraction, s.seed) for s in specs})


@pytest.mark.parametrize("width", [SETTINGS[name].width for name in SETTINGS])
def test_equal_parameters_are_equal(width):
    convolutions = {d: 9 * (width * e // 8) ** 2 * (42 * (d - 2) // 6 - 10) for d, e in _EIGHTHS.items()}
    assert max(convolutions.values()) < 1.03 * min(convolutions.values())


def test_counts():
    setting = SETTINGS["digits"]
    specs = [Arm(name).spec(setting, Path("nowhere"), 0) for name in ("resnet20", "dense56")]
    assert [LAST_CHANNELS.take(spec) for spec in specs] == [32, 65]
    wide = Arm("resnet20", {"width": 16}).spec(setting, Path("nowhere"), 0)
    assert PARAMETERS.take(wide) == 269_722 - 2 * 9 * 16  # He 2015, option A, with one channel of images for three


def test_without_norm_the_gradient_of_a_plain_network_vanishes_by_a_factor_a_layer():
    """1/sqrt(6) with torch's initialisation, and 18 layers between the first and the last of 20."""
    bare = Arm("plain20", {"norm": "none", "init": "torch"}).spec(Setting(width=8), Path("nowhere"), 0)
    assert 4 < GRADIENT_DECADES.take(bare) < 10
    normed = Arm("resnet20").spec(Setting(width=8), Path("nowhere"), 0)
    assert GRADIENT_DECADES.take(normed) < 1.5


def test_steps_move_what_arithmetic_says():
    spec = Arm("resnet20").spec(SETTINGS["digits"], Path("nowhere"), 0)
    assert moved("float32", "SGD").take(spec) == 0
    assert 0 < moved("float64", "SGD").take(spec) < 1000  # those below 2**-10 or so
    assert 0 < moved("float32", "Adam").take(spec) < 1000  # a step of 1e-11
    assert moved("float32", "Adam with eps 1e-20").take(spec) > 60_000
    assert moved("bfloat16", "Adam").take(spec) == 0


def test_an_unknown_claim_is_a_line_with_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown claim 'drop-out'; nearest: dropout"):
        claims_named(["drop-out"])
    assert [claim.name for claim in claims_named(["dropout", "deep-plain"])] == ["deep-plain", "dropout"]
    assert claims_named([]) == CLAIMS


@pytest.mark.parametrize(("data", "page"), [("digits", "claims.md"), ("cifar10", "claims-cifar10.md")])
def test_the_page_is_what_the_record_says(data, page):
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == claims_page(kept_claims(data))
