import pytest

from skipstone.core.errors import SkipstoneError
from skipstone.experiments.search.space import (
    Factor,
    default_space,
    demand_space,
    parse_factor,
    place,
    settings_of,
)
from skipstone.runs.records import RunSpec

BASE = RunSpec(model="skipstone:resnet20", options={"width": 8})


@pytest.mark.parametrize(
    ("text", "factor"),
    [
        ("lr=0.01..0.5:log", Factor("lr", (), 0.01, 0.5, log=True)),
        ("width=8..24", Factor("width", (), 8, 24, whole=True)),
        ("dropout=0..0.3", Factor("dropout", (), 0, 0.3)),
        ("label_smoothing=0..1", Factor("label_smoothing", (), 0, 1)),
        ("batch_size=32..256:log", Factor("batch_size", (), 32, 256, log=True, whole=True)),
        ("shortcut=A, B", Factor("shortcut", ("A", "B"))),
        ("blocks_per_stage=(1,1,1),(1,2,3)", Factor("blocks_per_stage", ((1, 1, 1), (1, 2, 3)))),
        ("model=plain20,net.py:Net(3, 4)", Factor("model", ("plain20", "net.py:Net(3, 4)"))),
        ("variant=as-is,plain=ablate:all", Factor("variant", ("as-is", "plain=ablate:all"))),
        ("nesterov=True,False", Factor("nesterov", (True, False))),
    ],
)
def test_factors_in_words(text, factor):
    assert parse_factor(text) == factor
    assert parse_factor(str(factor)) == factor


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr", "not understood, expected name=low..high"),
        ("lr=", "not understood"),
        ("lr=0.1", "has one value, expected at least two"),
        ("lr=0.1,0.1", "has one value"),
        ("lr=0.5..0.1", "0.5 is not below 0.1"),
        ("lr=0..1:log", "the logarithm of 0 is no number"),
        ("lr=a..b", "the ends of a range are numbers"),
        ("epochs=10,20", "epochs is the same for all trials"),
        ("seed=0,1", "seed is the same for all trials"),
    ],
)
def test_factors_that_are_refused(text, words):
    with pytest.raises(SkipstoneError, match=words):
        parse_factor(text)


def test_values_find_their_place():
    spec = place(BASE, {"lr": 0.3, "model": "preact20", "depth": 14, "dropout": 0.1, "variant": "bare=ablate:all"})
    assert (spec.model, spec.recipe.lr) == ("skipstone:preact14", 0.3)
    assert spec.options == {"width": 8, "dropout": 0.1}
    assert (spec.variant, spec.edits) == ("bare", ("ablate:all",))
    assert place(BASE, {}) == BASE
    with pytest.raises(SkipstoneError, match=r"reference network's name .* and net.py:Net has none"):
        place(RunSpec(model="net.py:Net"), {"depth": 8})
    with pytest.raises(SkipstoneError, match="lr is -1"):
        place(BASE, {"lr": -1.0})


def test_a_space_of_its_own_for_every_network():
    names = {factor.name for factor in default_space(BASE)}
    assert names == {"lr", "model", "blocks_per_stage", "width", "dropout"}
    assert {factor.name for factor in default_space(RunSpec(model="skipstone:wrn16_4"))} >= {"lr", "dropout"}
    assert [factor.name for factor in default_space(RunSpec(model="net.py:Net"))] == ["lr"]
    width = next(factor for factor in default_space(BASE) if factor.name == "width")
    assert width.ends() == (4, 12)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "nothing to search"),
        (["lr=0.1,0.2", "lr=1,2"], "factor lr was given twice"),
        (["depth=8,14", "blocks_per_stage=1,2"], "both say how many blocks"),
    ],
)
def test_spaces_that_are_refused(texts, words):
    with pytest.raises(SkipstoneError, match=words):
        demand_space([parse_factor(text) for text in texts])


def test_the_default_is_told_where_it_lies_in_the_space():
    space = [parse_factor(text) for text in ("lr=0.01..0.5:log", "width=8..24", "shortcut=A,B")]
    assert settings_of(BASE, space) is None, "resnet20 leaves the shortcut to its depth"
    assert settings_of(BASE, space[:2]) == {"lr": 0.1, "width": 8}
    assert settings_of(BASE, [parse_factor("width=9..24")]) is None
    assert settings_of(BASE, [parse_factor("dropout=0..0.3"), parse_factor("model=plain20,resnet20")]) == {
        "dropout": 0.0,
        "model": "resnet20",
    }
