from pathlib import Path

import pytest

from skipstone.core.errors import SkipstoneError
from skipstone.experiments import plan
from skipstone.experiments.plan import Family, family_of, folder_name
from skipstone.runs.records import RunSpec


def test_every_model_under_every_option_once_a_seed(tmp_path):
    specs = plan(["plain20", "net.py:Net(3)"], out=tmp_path, seeds=2, vary={"width": [8, 16], "dropout": [0.0]})
    assert len(specs) == 2 * 2 * 2
    assert specs[0].model == "skipstone:plain20"
    assert specs[-1].model == "net.py:Net(3)"
    assert [s.seed for s in specs[:2]] == [0, 1]
    assert specs[0].options == {"width": 8, "dropout": 0.0}
    assert Path(specs[0].out) == tmp_path / "runs" / "plain20-width=8-dropout=0.0_seed0"
    assert len({s.out for s in specs}) == len(specs)


def test_a_varied_option_goes_before_the_common_one(tmp_path):
    base = RunSpec(options={"width": 4, "dropout": 0.1}, epochs=3)
    (spec,) = plan(["plain20"], out=tmp_path, base=base, seeds=[7], vary={"width": [8]})
    assert (spec.options, spec.epochs, spec.seed) == ({"width": 8, "dropout": 0.1}, 3, 7)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"models": []}, "models: nothing given"),
        ({"models": ["plain20"], "seeds": []}, "seeds: nothing given"),
        ({"models": ["plain20"], "seeds": 0}, "seeds is 0, expected at least 1"),
        ({"models": ["plain20"], "vary": {"width": []}}, "vary width: nothing given"),
        ({"models": ["plain20", "skipstone:plain20"]}, "planned twice: skipstone:plain20 with seed 0"),
    ],
)
def test_nothing_to_plan_is_an_error(tmp_path, arguments, text):
    with pytest.raises(SkipstoneError, match=text):
        plan(arguments.pop("models"), out=tmp_path, **arguments)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("skipstone:resnet56", Family("resnet", 56)),
        ("densenet40_12", Family("densenet_12", 40)),
        ("densenet_bc100_12", Family("densenet_bc_12", 100)),
        ("wrn28_10", Family("wrn_10", 28)),
        ("unet", Family("unet", None)),
        ("net.py:Net20", Family("net.py:Net20", None)),
    ],
)
def test_a_name_tells_family_and_depth(model, family):
    assert family_of(model) == family


def test_folder_names_are_names_on_every_system():
    assert folder_name("a/b.py:Net(3, 'x') width=8", 1) == "a-b.py-Net-3-x-width=8_seed1"
