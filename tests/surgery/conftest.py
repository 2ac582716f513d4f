"""Fixtures of the surgery tests: small networks by name."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch


def _load(name: str):
    spec = importlib.util.spec_from_file_location(f"surgery_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # pickled classes are looked up here
    spec.loader.exec_module(module)
    return module


networks = _load("networks")


@pytest.fixture(params=list(networks.CASES))
def case(request):
    """(network, plain twin, input, number of skips), all in double precision."""
    make, twin, shape, number = networks.CASES[request.param]
    torch.manual_seed(0)
    return make().double(), twin().double(), torch.randn(shape, dtype=torch.float64), number


@pytest.fixture
def nets():
    return networks
