"""Fixtures that any test may use: torchvision and timm, importable beside a torch without its compiled operators."""

from types import ModuleType

import pytest
import torch

_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _define_missing_operators() -> None:
    """Declare the two operators torchvision looks up while it is imported; none of the networks here calls them."""
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _NMS)


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """The torchvision package; skips where it is not installed."""
    _define_missing_operators()
    return pytest.importorskip("torchvision")


@pytest.fixture(scope="session")
def timm(torchvision: ModuleType) -> ModuleType:
    """The timm package, which imports torchvision; skips where it is not installed."""
    return pytest.importorskip("timm")
