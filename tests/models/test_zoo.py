"""The same weights in the public implementation and in ours give the same outputs."""

from types import ModuleType

import pytest
import torch
from torch import nn

from skipstone import models

pytestmark = pytest.mark.zoo


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Parameters and buffers in the order in which they are registered, which both implementations share."""
    theirs, ours = source.state_dict(), target.state_dict()
    assert len(theirs) == len(ours)
    copied = {}
    for (name, tensor), (their_name, value) in zip(ours.items(), theirs.items(), strict=True):
        assert tensor.numel() == value.numel(), (name, their_name)
        copied[name] = value.reshape(tensor.shape)
    target.load_state_dict(copied)


def randomise(network: nn.Module) -> None:
    """Weights and statistics that leave no layer at its neutral value."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    for name, parameter in network.named_parameters():
        if "layer_scale" in name or name.endswith("gamma"):
            nn.init.uniform_(parameter, 0.5, 1.5)


def assert_same_function(theirs: nn.Module, name: str, **options: object) -> None:
    randomise(theirs)
    ours = models.create(name, **options)
    copy_weights(theirs, ours)
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        expected, found = theirs.double().eval()(x), ours.double().eval()(x)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert expected.std() > 1e-3


@pytest.mark.parametrize(
    ("theirs", "name"),
    [
        ("resnet18", "imagenet_resnet18"),
        ("resnet34", "imagenet_resnet34"),
        ("resnet50", "imagenet_resnet50"),
        ("resnext50_32x4d", "imagenet_resnext50_32x4d"),
        ("densenet121", "imagenet_densenet121"),
        ("mobilenet_v2", "mobilenetv2"),
        ("convnext_tiny", "convnext_tiny"),
    ],
)
def test_torchvision(torchvision: ModuleType, theirs: str, name: str):
    assert_same_function(getattr(torchvision.models, theirs)(weights=None), name)


@pytest.mark.parametrize(
    ("theirs", "name"),
    [
        ("resnet18", "imagenet_resnet18"),
        ("resnet50", "imagenet_resnet50"),
        ("resnet50d", "imagenet_resnet50_d"),
        ("convnext_tiny", "convnext_tiny"),
    ],
)
def test_timm(timm: ModuleType, theirs: str, name: str):
    assert_same_function(timm.create_model(theirs, pretrained=False), name)


def test_a_wrong_weight_is_noticed(torchvision: ModuleType):
    theirs = torchvision.models.resnet18(weights=None)
    ours = models.create("imagenet_resnet18")
    copy_weights(theirs, ours)
    with torch.no_grad():
        ours.stages[3][1].branch.norm2.bias.add_(0.01)
    x = torch.randn(1, 3, 64, 64)
    assert not torch.allclose(theirs.eval()(x), ours.eval()(x), rtol=1e-6, atol=1e-6)
