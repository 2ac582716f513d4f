"""Fixtures that any test may use: torchvision and timm, importable beside a torch without its compiled operators."""

import os
import signal
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch
from hypothesis import settings

from skipstone.models.zoos import import_torchvision

# How long one example takes says how loaded the machine is: no test is about that. The same examples every time: what
# others turn up is for a run that looks for them, not for one that stands in the way of a change.
settings.register_profile("untimed", deadline=None, derandomize=True)
settings.load_profile("untimed")

# Two workers on two cores: threads that outnumber these wait for each other, spinning.
torch.set_num_threads(1)

# A shell starts what runs in the background without Ctrl-C, and every process that a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """The torchvision package; skips where it is not installed."""
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    return import_torchvision("torchvision:")


@pytest.fixture(scope="session")
def timm(torchvision: ModuleType) -> ModuleType:
    """The timm package, which imports torchvision; skips where it is not installed."""
    return pytest.importorskip("timm")


@pytest.fixture(scope="session")
def keras() -> ModuleType:
    """Keras on the torch backend."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    assert keras.backend.backend() == "torch"
    return keras


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write the golden files anew")
