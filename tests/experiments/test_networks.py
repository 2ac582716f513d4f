import pytest

from skipstone.experiments.networks import Networks, inspect_network, read_networks
from skipstone.runs.records import RunSpec

CONV_LAYERS = 19


@pytest.fixture(scope="module")
def plain():
    return inspect_network(
        "plain20", [RunSpec(model="skipstone:plain20", options={"width": 4}, seed=s) for s in (0, 1)]
    )


def test_a_reference_network_is_drawn_and_its_bare_gradient_taken(plain):
    assert plain.drawing.title == "plain20"
    assert plain.drawing.arcs == ()
    assert (plain.seeds, plain.batch_size, len(plain.bare)) == ((0, 1), 128, 2)
    assert plain.bare[0] != plain.bare[1], "the seed decides the weights"


def test_the_bare_gradient_of_a_plain_network_vanishes_and_a_residual_ones_does_not(plain):
    """Torch's default initialisation shrinks the gradient by 1/sqrt(6) a ReLU layer (He 2015); a skip carries it by."""
    resnet = inspect_network("resnet20", [RunSpec(model="skipstone:resnet20", options={"width": 4})])
    fall = [n.bare[0].layers[0].grad_norm / n.bare[0].layers[CONV_LAYERS - 1].grad_norm for n in (plain, resnet)]
    assert fall[0] < 1e-5
    assert fall[1] > 0.1
    assert [arc.merge for arc in resnet.drawing.arcs] == ["add"] * 9


def test_a_users_network_is_drawn_without_a_bare_gradient(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("from torch import nn\ndef net(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n")
    found = inspect_network("net", [RunSpec(model=f"{file}:net")])
    assert [row.what for row in found.drawing.rows] == ["input", "Flatten", "Linear"]
    assert found.bare == ()


def test_a_network_that_cannot_be_built_is_a_note():
    found = inspect_network("gone", [RunSpec(model="skipstone:plain21")])
    assert found.drawing is None
    assert "plain of depth 21" in found.note


def test_networks_come_back_as_written(tmp_path, plain):
    assert Networks.from_dict(Networks((plain,)).to_dict()) == Networks((plain,))
    assert read_networks(tmp_path) == Networks(())
