"""What the networks do when they run: shapes, digits, gradients, and the fact that makes each of them itself."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from skipstone import models
from skipstone.models.repvgg import fold

# One small network of every family that takes small images.
SMALL = {
    "plain8": {},
    "resnet8": {"shortcut": "B"},
    "resnet9": {"width": 8},
    "resnet11": {"block": "bottleneck"},
    "preact8": {"dropout": 0.1},
    "preact11": {"block": "bottleneck"},
    "wrn10_2": {},
    "dense8": {},
    "densenet7_4": {},
    "densenet_bc10_4": {},
    "resnext11_2x8d": {"width": 8},
    "fixup8": {},
    "revnet26": {},
    "pyramidnet8_12": {},
    "stochastic_depth8": {"per": "sample"},
    "shake_shake8_2x4d": {},
    "fractalnet2": {"widths": (4, 8, 8)},
    "highway19": {},
    "tutorial_cnn": {},
}


@pytest.mark.parametrize("name", SMALL)
def test_digits_and_cifar_shapes_train(name: str):
    torch.manual_seed(0)
    network = models.create(name, in_channels=1, **SMALL[name])
    x = torch.randn(4, 1, 8, 8, requires_grad=True)
    logits = network(x)
    assert logits.shape == (4, 10)
    cross_entropy(logits, torch.arange(4)).backward()
    assert all(p.grad is not None for p in network.parameters())
    assert models.create(name, num_classes=7, **SMALL[name])(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("name", [n for n in SMALL if n not in ("highway19", "fractalnet2", "tutorial_cnn")])
def test_any_size_fits(name: str):
    network = models.create(name, in_channels=1, **SMALL[name]).eval()
    for h, w in ((1, 1), (5, 8), (13, 3)):
        if name.startswith("dense") and min(h, w) < 4:
            continue  # two poolings that round down
        assert network(torch.zeros(2, 1, h, w)).shape == (2, 10)


@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize("name", [n for n in SMALL if n != "tutorial_cnn"])
def test_series_and_volumes(name: str, dims: int):
    network = models.create(name, in_channels=2, dims=dims, **SMALL[name])
    assert network(torch.randn(2, 2, *[8] * dims)).shape == (2, 10)
    kinds = {type(m).__name__ for m in network.modules() if isinstance(m, nn.modules.conv._ConvNd)}
    assert kinds == {f"Conv{dims}d"}


def test_volumes_are_segmented_too():
    network = models.create("unet", dims=3, width=4, levels=2)
    assert network(torch.randn(1, 1, 9, 8, 7)).shape == (1, 2, 9, 8, 7)


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("name", ["plain8", "resnet8", "preact8", "dense8", "wrn10_1", "stochastic_depth8"])
def test_normalisation_is_a_choice(name: str, norm: str):
    assert models.create(name, norm=norm, in_channels=1)(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize("name", ["resnet20", "densenet_bc10_4", "wrn10_2", "fixup8", "revnet26"])
def test_channels_last_and_half_precision(name: str):
    torch.manual_seed(0)
    network = models.create(name).eval()
    x = torch.randn(2, 3, 32, 32)
    expected = network(x)
    last = network.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected)
    assert network.bfloat16()(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet8", "preact8", "dense8", "wrn10_1", "unet", "fixup8", "mobilenetv2"])
def test_compiles_into_one_graph(name: str):
    network = models.create(name).eval()
    x = torch.randn(2, *models.family_of(name).input_shape)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), network(x))


def test_plain_network_is_the_residual_one_without_its_skips():
    residual, plain = models.create("resnet20"), models.create("plain20")
    plain.load_state_dict(residual.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert not torch.allclose(plain(x), residual(x))
    for block in (m for m in residual.modules() if hasattr(m, "shortcut")):
        block.shortcut.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    assert torch.equal(plain(x), residual(x))


def test_option_a_layouts_differ_in_function_alone():
    after, both = models.create("resnet20").eval(), models.create("resnet20", layout="both").eval()
    both.load_state_dict(after.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert not torch.allclose(after(x), both(x))


def test_fixup_starts_at_zero_logits_and_moves_its_classifier_alone():
    network = models.create("fixup20")
    logits = network(torch.randn(4, 3, 32, 32))
    assert torch.equal(logits, torch.zeros(4, 10))
    cross_entropy(logits, torch.arange(4)).backward()
    moved = {name for name, p in network.named_parameters() if p.grad.count_nonzero()}
    assert moved == {"fc.1.weight", "fc.1.bias"}


def test_stochastic_depth_keeps_three_quarters_of_the_blocks_on_average():
    network = models.create("stochastic_depth110")
    survival = [m.survival for m in network.modules() if hasattr(m, "survival")]
    assert len(survival) == network.num_skips == 54
    assert sum(survival) == pytest.approx((3 * 54 - 1) / 4)
    assert sum(p * (1 - p) for p in survival) == pytest.approx(9.124, abs=5e-4)


def test_stochastic_depth_draws_in_training_only():
    torch.manual_seed(0)
    network = models.create("stochastic_depth20")
    x = torch.randn(2, 3, 8, 8)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_revnet_gradients_are_those_of_stored_activations():
    torch.manual_seed(0)
    freed = models.create("revnet38").double()
    stored = models.create("revnet38", free_activations=False).double()
    stored.load_state_dict(freed.state_dict())
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    for network in (freed, stored):
        cross_entropy(network(x), torch.tensor([3, 7])).backward()
    for one, other in zip(freed.parameters(), stored.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-7, atol=1e-10)


def test_repvgg_folds_into_plain_convolutions():
    torch.manual_seed(0)
    network = models.create("repvgg_a0", num_classes=1000).double()
    network(torch.randn(4, 3, 64, 64, dtype=torch.float64))  # running statistics other than the initial ones
    folded = fold(network.eval())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    torch.testing.assert_close(folded(x), network(x), rtol=1e-11, atol=1e-12)
    assert sum(p.numel() for p in folded.parameters()) == 8_309_384
    assert folded.num_skips == 0
    assert network.num_skips == 17


def test_unet_crops_as_published_and_fits_any_size_else():
    with torch.device("meta"):
        cropped = models.create("unet", how="crop")
        assert cropped(torch.empty(1, 1, 572, 572)).shape == (1, 2, 388, 388)
        padded = models.create("unet")
        for h, w in ((256, 256), (33, 47), (16, 16)):
            assert padded(torch.empty(1, 1, h, w)).shape == (1, 2, h, w)


def test_imagenet_networks_give_a_thousand_logits():
    with torch.device("meta"):
        for family in models.families():
            if family.input_shape == (3, 224, 224):
                network = models.create(family.names[0]).eval()
                assert network(torch.empty(2, *family.input_shape)).shape == (2, 1000), family.form


def test_fractal_layers_and_longest_path():
    """2^C - 1 layers a block; the columns are 1, 2, 4, ... layers deep."""
    for columns in (1, 2, 3, 4):
        with torch.device("meta"):
            network = models.create(f"fractalnet{columns}")
        assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 5 * (2**columns - 1)


def test_convnext_blocks_survive_less_with_depth():
    with torch.device("meta"):
        network = models.create("convnext_tiny", survival=0.9)
    survival = [m.survival for m in network.modules() if hasattr(m, "survival")]
    assert len(survival) == 18
    assert survival[0] == 1
    assert survival[-1] == pytest.approx(0.9)
    assert survival == sorted(survival, reverse=True)
