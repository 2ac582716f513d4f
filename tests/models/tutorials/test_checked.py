"""The checker on the tutorials' networks: four are wrong, each in one way, and the others are not."""

import pytest
import torch

from skipstone.checks import check
from skipstone.models import tutorials
from skipstone.skips import find_skips
from skipstone.tracing import trace

WRONG = {
    "TwoConvResidual": ((2, 3, 32, 32), "SK102"),
    "ResNetBlock": ((2, 64, 16, 16), "SK101"),
    "ResidualBlock": ((2, 16, 16, 16), "SK101"),
    "DeepCNN": ((2, 3, 32, 32), "SK103"),
}
RIGHT = {
    "LayerOneToThree": ((2, 3, 32, 32), [("projection", "add")]),
    "TwoConvResidualRepaired": ((2, 3, 32, 32), [("identity", "add")]),
    "ResNetBlockRepaired": ((2, 64, 16, 16), [("projection", "add")]),
    "SkipConnectionBlock": ((2, 32, 16, 16), [("identity", "cat")]),
    "DeepCNNRepaired": ((2, 3, 32, 32), []),
    "FinishedCNN": ((2, 3, 32, 32), [("identity", "add")] * 6),
}


def test_every_network_is_either_right_or_wrong():
    assert {*WRONG, *RIGHT} == set(tutorials.__all__)


@pytest.mark.parametrize("name", WRONG)
def test_the_mistake_is_found(name: str):
    shape, code = WRONG[name]
    report = check(getattr(tutorials, name)(), shape)
    assert [f.code for f in report.findings if f.severity == "error"] == [code]


@pytest.mark.parametrize("name", RIGHT)
def test_nothing_is_found_where_nothing_is_wrong(name: str):
    shape, skips = RIGHT[name]
    network = getattr(tutorials, name)()
    assert [f for f in check(network, shape).findings if f.severity != "note"] == []
    assert [(s.kind, s.merge) for s in find_skips(trace(network.eval(), shape))] == skips


def test_a_repair_makes_the_block_run():
    shape, _ = WRONG["ResNetBlock"]
    network = tutorials.ResNetBlock()
    (finding,) = check(network, shape).findings
    assert finding.repairs[0].apply(network)(torch.zeros(shape)).shape == (2, 128, 16, 16)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras beside NumPy 2
def test_keras_block_has_its_skip(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    from skipstone.models.tutorials.keras_block import keras_residual_block

    block = keras_residual_block(8, in_channels=8, size=16)
    assert [(s.kind, s.merge) for s in find_skips(trace(block, (2, 16, 16, 8)))] == [("identity", "add")]
