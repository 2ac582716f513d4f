"""Inputs guessed for Keras networks: what a model declares, else what its layers make of any input of their kind."""

import pytest

from skipstone.integrations.guessing import guess_input
from skipstone.integrations.whole_file import networks_of

FILE = """
import keras
from keras import layers


class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.stem, self.conv = layers.Conv2D(4, 3, padding="same"), layers.Conv2D(6, 3, padding="same")

    def call(self, x, training=False):
        x = self.stem(x)
        return x + self.conv(x)


whole = keras.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
"""


@pytest.fixture
def networks(keras):
    import keras_networks

    return keras_networks


@pytest.mark.parametrize(
    ("name", "guess"), [("functional", "16x16x8"), ("Subclassed", "32x32x8"), ("sequential", "32x32x3")]
)
def test_the_input_on_which_least_fails(networks, name, guess):
    assert guess_input(getattr(networks, name)()) == guess


def test_sequences_and_features(keras):
    layers = keras.layers
    assert guess_input(keras.Sequential([layers.Embedding(9, 4), layers.LSTM(4)])) == "16:int64"
    assert guess_input(keras.Sequential([layers.Dense(4)])) == "16"
    assert guess_input(keras.Sequential([layers.GRU(4)])) == "16x16"


def test_a_file_of_keras_networks_alone(keras, tmp_path):
    file = tmp_path / "net.py"
    file.write_text(FILE)
    found = networks_of(str(file), (), "train")
    assert found.missing == ()
    assert [(network.job.target.partition(".py:")[2], network.job.inputs) for network in found.networks] == [
        ("Net", ("32x32x3",)),
        ("whole", ("32x32x3",)),
    ]
