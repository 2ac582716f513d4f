"""The Keras form, where Keras is installed."""

import os

import pytest
import torch

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")

from skipstone.models.tutorials.keras_block import keras_residual_block


def test_keeps_the_tutorials_shape():
    block = keras_residual_block()
    assert isinstance(block, torch.nn.Module)
    assert tuple(block.output_shape) == (None, 64, 64, 64)
    assert tuple(block(torch.zeros(2, 64, 64, 64)).shape) == (2, 64, 64, 64)


def test_output_is_the_sum_activated():
    block = keras_residual_block(4, in_channels=4, size=8)
    x = torch.randn(2, 8, 8, 4)
    branch = block.get_layer("conv2")(block.get_layer("conv1")(x))
    assert torch.equal(block(x), torch.relu(x + branch))


def test_unequal_channels_fail_as_in_torch():
    with pytest.raises(ValueError, match=r"64, 64, 64\).*64, 64, 128\)"):
        keras_residual_block(128)
