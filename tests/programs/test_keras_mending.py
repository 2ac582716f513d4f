"""Functional Keras models are mended in the lines that build them, and the file is run anew."""

import re

import pytest

import skipstone.cli

HEAD = """import keras
from keras import layers


def block(x, filters, stride=1):
    y = layers.Conv2D(filters, 3, strides=stride, padding="same")(x)
    y = layers.Conv2D(filters, 3, padding="same")(layers.ReLU()(y))
    return layers.Add()([y, x])


"""
WIDTHS = HEAD + "inputs = keras.Input((16, 16, 4))\nmodel = keras.Model(inputs, block(block(inputs, 4), 6, 2))\n"
UNKNOWN = HEAD + "inputs = keras.Input((None, None, 4))\nmodel = keras.Model(inputs, block(inputs, 4, 2))\n"
BORDER = """import keras
from keras import layers

inputs = keras.Input((16, 16, 4))
x = layers.Conv2D(6, 3, activation="relu")(inputs)
model = keras.Model(inputs, layers.add([layers.Conv2D(6, 3)(x), inputs]))
"""


@pytest.fixture
def file(keras, tmp_path):
    return tmp_path / "net.py"


def test_a_block_that_is_built_in_several_widths(file, capsys):
    file.write_text(WIDTHS)
    assert skipstone.cli.run(["check", str(file), "--diff"]) == 2
    told = capsys.readouterr()
    assert "+    if x.shape[1:] != y.shape[1:]:\n+        x = layers.Conv2D(y.shape[-1], 1, strides=2)(x)\n" in told.out
    assert "merge, net.py:8" in told.err
    assert file.read_text() == WIDTHS
    assert skipstone.cli.run(["check", str(file), "--fix"]) == 0
    assert "strides=2)(x)\n    return layers.Add()([y, x])" in file.read_text()
    assert "2 skips (1 identity, 1 projection); nothing to report" in capsys.readouterr().out


def test_a_branch_that_loses_its_border_keeps_it(file, capsys):
    file.write_text(BORDER)
    assert skipstone.cli.run(["check", f"{file}:model", "--input", "16x16x4", "--fix"]) == 0
    assert file.read_text().count("padding='same'") == 2
    assert "layers.Conv2D(6, 1)(inputs)" in file.read_text()


@pytest.mark.slow
def test_what_the_symbolic_shapes_do_not_tell_stays_advice(file, capsys):
    """Where a height is not known while the model is built, its line can't ask whether the two differ."""
    file.write_text(UNKNOWN)
    assert skipstone.cli.run(["check", str(file), "--fix", "--no-run"]) == 1
    told = capsys.readouterr()
    assert file.read_text() == UNKNOWN
    assert re.search(r" add\S*, net\.py:8$", told.out, re.MULTILINE)
    assert "pass the shortcut through keras.layers.Conv2D(4, 1, strides=2): with the line changed so" in told.err
