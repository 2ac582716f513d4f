"""ResNetBlock, ResidualBlock, SkipConnectionBlock, DeepCNN: the stated failures themselves, and the repairs."""

import pytest
import torch

from skipstone.models import tutorials
from skipstone.models.tutorials import (
    DeepCNN,
    DeepCNNRepaired,
    ResidualBlock,
    ResNetBlock,
    ResNetBlockRepaired,
    SkipConnectionBlock,
)


def test_64_channels_cannot_be_added_to_128():
    with pytest.raises(RuntimeError, match=r"tensor a \(64\) must match the size of tensor b \(128\)"):
        ResNetBlock(64, 128)(torch.zeros(2, 64, 8, 8))
    assert ResNetBlock(64, 64)(torch.zeros(2, 64, 8, 8)).shape == (2, 64, 8, 8)


def test_projection_repairs_it():
    assert ResNetBlockRepaired(64, 128)(torch.zeros(2, 64, 8, 8)).shape == (2, 128, 8, 8)


def test_residual_block_needs_equal_channels():
    assert ResidualBlock(32, 32)(torch.zeros(2, 32, 8, 8)).shape == (2, 32, 8, 8)
    with pytest.raises(RuntimeError, match=r"tensor a \(32\) must match the size of tensor b \(16\)"):
        ResidualBlock(16, 32)(torch.zeros(2, 16, 8, 8))


def test_skip_connection_block_appends_its_input():
    x = torch.randn(2, 32, 8, 8)
    y = SkipConnectionBlock(32, 48)(x)
    assert y.shape == (2, 80, 8, 8)
    assert torch.equal(y[:, 48:], x)


def test_8192_features_meet_2048():
    with pytest.raises(RuntimeError, match="2x8192 and 2048x10"):
        DeepCNN()(torch.zeros(2, 3, 32, 32))
    assert DeepCNN()(torch.zeros(2, 3, 16, 16)).shape == (2, 10)
    assert DeepCNNRepaired()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_every_network_can_be_made_without_arguments():
    for name in tutorials.__all__:
        assert isinstance(getattr(tutorials, name)(), torch.nn.Module)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'LayerOneToFour'"):
        _ = tutorials.LayerOneToFour
