"""What the tutorial's tables say of the network, and what it leaves out."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from skipstone.models.options import OptionError
from skipstone.models.tutorials import LayerOneToThree


def skip_macs(network: LayerOneToThree) -> int:
    a1 = network.activations(torch.zeros(1, 3, 32, 32))["a1"]
    with FlopCounterMode(display=False) as counter:
        network.skip(a1)
    return counter.get_total_flops() // 2


def test_every_tensor_has_the_tabled_shape():
    layers = LayerOneToThree().activations(torch.zeros(5, 3, 32, 32))
    assert {name: tuple(t.shape) for name, t in layers.items()} == {
        "a1_": (5, 16, 32, 32),
        "a1": (5, 16, 16, 16),
        "a2_": (5, 32, 16, 16),
        "a2": (5, 32, 8, 8),
        "a3_": (5, 64, 8, 8),
        "a3": (5, 64, 4, 4),
    }


def test_sum_is_layer_three_plus_reshaped_layer_one():
    network, x = LayerOneToThree(), torch.randn(2, 3, 32, 32)
    layers = network.activations(x)
    shortcut = torch.nn.functional.max_pool2d(network.project(layers["a1"]), 4)
    assert torch.equal(network(x), layers["a3"] + shortcut)
    assert network(x).shape == (2, 64, 4, 4)


@pytest.mark.parametrize("pool_first", [False, True])
def test_runs_exactly_from_8_pixels(pool_first: bool):
    network = LayerOneToThree(pool_first=pool_first)
    runs = set()
    for h in range(1, 65):
        try:
            runs.add((h, tuple(network(torch.zeros(1, 3, h, h)).shape[2:])))
        except RuntimeError:
            continue
    assert runs == {(h, (h // 8, h // 8)) for h in range(8, 65)}


def test_pooling_first_costs_a_sixteenth():
    assert skip_macs(LayerOneToThree()) == 262_144
    assert skip_macs(LayerOneToThree(pool_first=True)) == 16_384


@pytest.mark.parametrize(("pool", "equal"), [("avg", True), ("max", False)])
def test_order_of_pooling_matters_for_max_alone(pool: str, equal: bool):
    after = LayerOneToThree(pool=pool).double()
    before = LayerOneToThree(pool=pool, pool_first=True).double()
    before.load_state_dict(after.state_dict())
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert torch.allclose(after(x), before(x), rtol=0, atol=1e-13) is equal


def test_classifies_when_asked_to():
    assert LayerOneToThree(num_classes=10)(torch.zeros(2, 3, 40, 32)).shape == (2, 10)


def test_unknown_pooling_is_refused():
    with pytest.raises(OptionError, match="pool='min': must be one of 'max', 'avg'"):
        LayerOneToThree(pool="min")
