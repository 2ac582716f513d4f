"""The legal sizes that the tutorials' networks are said to have, as reckoned and as run."""

from contextlib import suppress

import pytest
import torch

from skipstone import legal_sizes
from skipstone.models import tutorials

LEGAL = {
    "LayerOneToThree": (3, set(range(8, 65)), set()),
    "TwoConvResidual": (3, {3, 4}, {1}),
    "TwoConvResidualRepaired": (3, set(range(1, 65)), set()),
    "ResNetBlock": (64, set(), set()),
    "ResNetBlockRepaired": (64, set(range(1, 65)), set()),
    "SkipConnectionBlock": (32, set(range(1, 65)), set()),
    "DeepCNN": (3, {16, 17}, set()),
    "DeepCNNRepaired": (3, {32, 33}, set()),
    "FinishedCNN": (3, set(range(4, 65)), set()),
}


@pytest.mark.parametrize("name", LEGAL)
def test_reckoned_sizes_are_those_that_run(name: str):
    channels, legal, broadcast = LEGAL[name]
    options = {"widths": (4, 4, 4), "blocks_per_stage": 1} if name == "FinishedCNN" else {}
    network = getattr(tutorials, name)(**options).eval()
    report = legal_sizes(network, (2, channels, "h", "h"), h=range(1, 65))
    assert (report.legal, report.broadcast) == (legal, broadcast)
    network.to("meta")  # torch's own checks of shapes, without the arithmetic
    run = set()
    for h in range(1, 65):
        with suppress(RuntimeError), torch.no_grad():
            network(torch.empty(2, channels, h, h, device="meta"))
            run.add(h)
    assert run == legal | broadcast
