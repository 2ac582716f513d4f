"""Static hyper-connections: the plain residual network inside them."""

import pytest
import torch
from torch import nn

from skipstone.blocks.hyper_connections import HyperConnected, HyperConnection, expand
from skipstone.blocks.parts.residual import Residual


def branches(num: int) -> list[nn.Module]:
    torch.manual_seed(0)
    return [nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(num)]


def test_one_stream_is_the_plain_residual_sum() -> None:
    (branch,) = branches(1)
    x = torch.randn(3, 4)
    assert torch.equal(HyperConnection(branch, 1)(expand(x, 1))[:, 0], x + branch(x))


@pytest.mark.parametrize("num_streams", [1, 2, 4])
def test_at_initialisation_every_stream_is_the_plain_residual_network(num_streams: int) -> None:
    inner = branches(6)
    x = torch.randn(3, 4)
    model = HyperConnected(inner, num_streams)
    streams = model.layers(expand(x, num_streams))
    want = nn.Sequential(*map(Residual, inner))(x)
    for index in range(num_streams):
        assert torch.equal(streams[:, index], want)
    torch.testing.assert_close(model(x), num_streams * want)


@pytest.mark.parametrize("num_streams", [1, 2, 4])
def test_parameters_a_layer(num_streams: int) -> None:
    layer = HyperConnection(nn.Identity(), num_streams)
    assert sum(p.numel() for p in layer.parameters()) == num_streams * (num_streams + 2)


def test_mixing_follows_the_equation() -> None:
    torch.manual_seed(0)
    layer = HyperConnection(nn.Tanh(), 3)
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    h = torch.randn(2, 3, 5)
    want = [layer.mix.T @ h[i] + layer.write[:, None] * torch.tanh(layer.read @ h[i]) for i in range(2)]
    torch.testing.assert_close(layer(h), torch.stack(want))
