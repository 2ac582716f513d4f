"""An error while a functional Keras model is being built names the layers of both branches."""

import pytest

from skipstone import explain


@pytest.fixture
def networks(keras):
    import keras_networks

    return keras_networks


def test_the_merge_that_refused_is_explained(networks):
    with pytest.raises(ValueError, match="incompatible shapes") as caught:
        networks.functional(filters=12)
    explanation = explain(caught.value)
    assert explanation is not None
    text = str(explanation)
    assert "the model that is being built at keras_networks.py:" in text
    assert "cannot add 8 channels to 12 channels" in text
    assert "model.conv1: Conv2D(k3, p1)" in text
    assert "keras.layers.Conv2D(12, 1)" in text


def test_concatenations_too(keras):
    inputs = keras.Input((16, 16, 8))
    small = keras.layers.MaxPooling2D(name="pool")(inputs)
    with pytest.raises(ValueError, match="matching shapes") as caught:
        keras.layers.Concatenate()([inputs, small])
    assert "16x16" in str(explain(caught.value))


def test_other_errors_of_keras_are_left_alone(keras):
    with pytest.raises(ValueError, match="Could not interpret") as caught:
        keras.layers.Dense(3, activation="rellu")
    assert explain(caught.value) is None


def test_a_command_whose_factory_raises_in_keras_tells_it_under_its_line(keras, tmp_path, capsys):
    import skipstone.cli

    (tmp_path / "blocks.py").write_text(
        "import keras\nfrom keras import layers\n\n\ndef make(filters=12):\n    inputs = keras.Input((16, 16, 8))\n"
        '    x = layers.Conv2D(filters, 3, padding="same")(inputs)\n'
        "    return keras.Model(inputs, layers.Add()([inputs, x]))\n"
    )
    assert skipstone.cli.run(["check", f"{tmp_path / 'blocks.py'}:make", "--input", "16x16x8"]) == 2
    said = capsys.readouterr().err
    assert said.index("make raised ValueError") < said.index("cannot add 8 channels to 12 channels")
    assert "could not be recorded" not in said
    assert skipstone.cli.run(["check", f"{tmp_path / 'blocks.py'}:make(8)", "--input", "16x16x8"]) == 0
