"""What the Keras unit says of Keras, by Keras: its shapes are argued in the unit, which needs no Keras."""

import pytest

from skipstone.learn.units import keras_5


def test_the_shapes_are_those_that_keras_makes(keras):
    x = keras.Input((28, 20, 64), batch_size=32)
    y = keras.layers.Conv2D(64, 3, padding="same", activation="relu")(x)
    y = keras.layers.Conv2D(64, 3, padding="same")(y)
    out = keras.layers.Add()([x, y])
    assert f"keras_output = {tuple(out.shape)}" in keras_5.SOLUTION
    with pytest.raises(ValueError, match="shape"):
        keras.layers.Add()([keras.Input((28, 20, 32), batch_size=32), y])
