"""Pool after a pointwise convolution: told where both commute, with equal results; silent where the order matters."""

import pytest
import torch
from torch import nn

from networks import conv

MAP = (2, 16, 16, 16)


def pooled():
    return nn.Sequential(nn.Conv2d(16, 64, 1), nn.AvgPool2d(4))


def test_an_average_pool_behind_a_pointwise_convolution(notes):
    (note,) = notes(pooled(), (1, 16, 16, 16))
    assert note.rule == "pool-after-pointwise"
    assert "262,144" in note.message
    assert "16,384" in note.message


def test_the_order_makes_no_difference():
    x = torch.randn(1, 16, 16, 16, dtype=torch.float64)
    model = pooled().double()
    torch.testing.assert_close(model(x), model[0](model[1](x)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "layers",
    [
        (nn.Conv2d(16, 64, 1), nn.MaxPool2d(4)),  # a maximum does not commute
        (nn.Conv2d(16, 64, 1), nn.ReLU(), nn.AvgPool2d(4)),
        (nn.Conv2d(16, 64, 1), nn.BatchNorm2d(64), nn.AvgPool2d(4)),
        (conv(16, 64), nn.AvgPool2d(4)),
        (nn.Conv2d(16, 64, 1), nn.AvgPool2d(4, padding=1)),  # the padding's zeros would take the bias
    ],
)
def test_pooling_where_the_order_matters(notes, layers):
    assert notes(nn.Sequential(*layers), MAP) == []


def test_pooling_with_padding_and_no_bias_commutes(notes):
    model = nn.Sequential(nn.Conv2d(16, 64, 1, bias=False), nn.AvgPool2d(4, padding=1))
    assert [note.rule for note in notes(model, MAP)] == ["pool-after-pointwise"]


def test_text(notes, text, golden):
    golden("pool-after-pointwise.txt", text(notes(pooled(), MAP)[0]))
