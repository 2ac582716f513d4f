"""Keras 3 on torch: layers by their names, weights made behind the record, one step of a ledger for a layer."""

from pathlib import Path

import pytest
import torch

from skipstone import check, find_skips, legal_sizes, trace
from skipstone.tracing.keras_places import note_calls_when_loaded

SHAPE = (2, 16, 16, 8)


@pytest.fixture
def networks(keras):
    import keras_networks

    return keras_networks


def test_a_functional_model_is_recorded_by_its_layers_names(networks):
    note_calls_when_loaded()
    model = networks.functional()
    graph = trace(model, SHAPE)
    assert graph.stopped is None
    assert [call.path for call in graph.calls if call.path] == ["conv1", "norm", "merge", "act", "flat", "head"]
    assert {node.name for node in graph if node.kind == "parameter"} >= {"conv1.kernel", "head.bias"}
    (skip,) = find_skips(graph)
    assert (skip.kind, skip.target) == ("identity", "merge")
    lines = Path(networks.__file__).read_text().splitlines()
    assert (
        'layers.Add(name="merge")' in lines[skip.line - 1]
    )  # where it was built: no line calls it when the model runs


def test_a_model_without_weights_yet_gets_none_by_being_recorded(networks):
    model = networks.Subclassed()
    report = check(model, SHAPE)
    assert not report.errors
    assert not report.warnings
    assert report.partial is None
    assert [(skip.kind, skip.source, skip.target) for skip in report.skips] == [
        ("identity", "input0", "block1"),
        ("identity", "block1", "block2"),
    ]
    assert not model.built
    assert not model.weights


def test_running_it_gives_the_same_as_without_us(networks, keras):
    keras.utils.set_random_seed(0)
    model = networks.functional()
    x = torch.randn(SHAPE)
    before = model(x)
    weights = [weight.value.detach().clone() for weight in model.weights]
    check(model, SHAPE)
    legal_sizes(model, ("h", 16, 16, 8), h=range(1, 5))
    assert torch.equal(model(x), before)
    assert all(torch.equal(new.value, old) for new, old in zip(model.weights, weights, strict=True))


@pytest.mark.parametrize(
    ("options", "message", "layer", "num_parameters"),
    [
        ({"filters": 12}, "cannot add 8 channels to 12 channels", "Conv2D(12, 1)", 108),
        ({"strides": 2}, "cannot add 16x16 to 8x8", "Conv2D(8, 1, strides=2)", 72),
    ],
)
def test_a_mismatch_is_told_at_the_users_line_by_keras_layers(networks, options, message, layer, num_parameters):
    report = check(networks.Subclassed(**options), SHAPE)
    (finding,) = report.errors
    assert message in finding.message
    assert finding.module == "block2"
    assert finding.place is not None
    assert finding.place.file == networks.__file__
    (step,) = next(branch for branch in finding.branches if branch.steps).steps
    assert step.label.startswith("block2.conv1: Conv2D(k3")
    (repair,) = finding.repairs
    assert repair.title == f"projection: keras.layers.{layer} on the shortcut"
    assert repair.cost.num_parameters == num_parameters
    assert not repair.changes()  # block1 is made by the same text, and needs nothing


def test_the_repair_is_a_change_of_the_source(networks):
    (finding,) = check(networks.Block(12), SHAPE, run=False).errors
    diff = finding.repairs[0].diff()
    assert "\n+        self.skipstone_shortcut = layers.Conv2D(filters=12, kernel_size=1)\n" in diff
    assert "\n+        return self.skipstone_shortcut(x) + self.conv2(" in diff


def test_what_it_writes_mends_it(networks, keras):
    class Mended(networks.Block):
        def __init__(self):
            super().__init__(12)
            self.shortcut = keras.layers.Conv2D(12, 1)

        def call(self, x):
            return self.shortcut(x) + self.conv2(keras.activations.relu(self.conv1(x)))

    assert Mended()(torch.randn(SHAPE)).shape == (2, 16, 16, 12)
    assert not check(Mended(), SHAPE).errors


def test_sequential_models(networks):
    graph = trace(networks.sequential(), SHAPE)
    assert graph.stopped is None
    assert graph[graph.outputs[0]].shape == (2, 2)
