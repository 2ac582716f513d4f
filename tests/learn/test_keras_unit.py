"""The Keras unit by Keras itself: what it says of Keras is so, and the student's block is built and run in Keras."""

import sys

import pytest

from skipstone.learn import notebook
from skipstone.learn.gather import gather
from skipstone.learn.unit import load
from skipstone.learn.units import keras_5
from skipstone.models.tutorials import keras_block

UNIT = load("keras-5")
IN_KERAS = [name for name in (*UNIT.right, *UNIT.wrong) if name.startswith("Keras: ")]


@pytest.fixture(params=["", "missing"])
def keras_or_none(request, keras, monkeypatch):
    """Twice: with the Keras that is installed, and as if there were none."""
    keras_5.keras_output.cache_clear()
    if request.param:
        monkeypatch.setitem(sys.modules, "keras", None)
    yield request.param
    keras_5.keras_output.cache_clear()


def test_the_shapes_are_those_that_keras_makes(keras):
    x = keras.Input((28, 20, 64), batch_size=32)
    y = keras.layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    y = keras.layers.Conv2D(64, 3, padding="same")(y)
    out = keras.layers.Add()([x, y])
    assert f"keras_output = {tuple(out.shape)}" in keras_5.SOLUTION
    with pytest.raises(ValueError, match="shape"):
        keras.layers.Add()([keras.Input((28, 20, 32), batch_size=32), y])


def test_the_key_is_asked_of_keras_and_argued_where_there_is_none(keras_or_none):
    made, missing = keras_5.keras_output()
    assert made == (32, 28, 20, 64)
    assert missing == ("keras is missing: pip install 'skipstone[keras]'" if keras_or_none else "")


def test_the_block_is_a_keras_model_that_ran(keras):
    """What is judged is the record of a model of Keras' own layers, and its weights are those that Keras made."""
    answers, namespace = [], {}
    exec(UNIT.solution, namespace)
    gather(namespace, None, keras_5.IN_KERAS, answers.append)
    for answer in answers:
        kinds = {info["module"] for info in answer["graph"]["modules"].values()}
        assert any(kind.startswith("keras.") for kind in kinds)
        assert {name.partition(".")[2] for name in answer["weights"]} == {"kernel", "bias"}


def test_enough_answers_are_about_keras_itself(keras):
    assert len([name for name in IN_KERAS if name in UNIT.right]) >= 4
    assert len({UNIT.wrong[name][1] for name in IN_KERAS if name in UNIT.wrong}) >= 6


def _checked(source):
    """As in a notebook: in this very process."""
    namespace = {}
    exec(source, namespace)
    return notebook.check("keras-5", namespace)


def test_where_keras_is_missing_the_rest_is_judged_and_the_verdict_says_what_is_missing(keras_or_none):
    solved, begun = _checked(UNIT.solution), _checked(UNIT.starter)
    assert solved.passed
    assert not begun.passed
    said = (
        "-----  keras_block is not judged, since Keras can't run here: keras is missing: pip install 'skipstone[keras]'"
    )
    assert (said in str(solved)) == bool(keras_or_none)
    assert f"passed, {4 if keras_or_none else 6} of {4 if keras_or_none else 6} right" in str(solved)
    assert _checked(UNIT.wrong["Keras: no skip"][0]).passed == bool(keras_or_none)


def test_keras_on_another_backend_is_told(keras, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(keras_block.KerasMissingError, match="runs on 'jax': set KERAS_BACKEND=torch"):
        keras_block.keras_on_torch()
