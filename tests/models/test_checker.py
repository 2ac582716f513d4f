"""Our own checker over every network: the skips found are the skips declared, and there is nothing to complain of."""

import pytest
import torch

from skipstone import models
from skipstone.checks import check
from skipstone.skips import find_skips
from skipstone.tracing import trace

DEEP = ("1202", "1001", "190_40", "250_24", "100_24")
FAST = [n for n in models.names() if not n.endswith(DEEP)]
SLOW = [n for n in models.names() if n.endswith(DEEP)]
# One network of each family for the default run.
FIRST = [family.names[0] for family in models.families()]


def remarks(name: str) -> set[str]:
    """The notes that a published design deserves."""
    if name.startswith(("dense", "imagenet_dense")):  # transitions pool after the 1x1; before it is equal and cheaper
        return {"pool-after-pointwise"}
    if name == "resnet9":  # its units add what was rectified
        return {"relu-before-add"}
    if "plain" in name:
        return {"long-chain"}
    return set()


def outline(name: str) -> torch.nn.Module:
    with torch.device("meta"):
        return models.create(name).eval()


def assert_found_as_declared(name: str) -> None:
    network = outline(name)
    report = check(network, (2, *models.family_of(name).input_shape))
    assert report.partial is None
    assert sum(skip.is_block_skip for skip in report.skips) == network.num_skips
    assert [f for f in report.findings if f.severity != "note"] == []
    assert {f.rule for f in report.findings} <= remarks(name)


@pytest.mark.parametrize("name", FIRST)
def test_one_of_every_family(name: str):
    assert_found_as_declared(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in FAST if n not in FIRST])
def test_every_network(name: str):
    assert_found_as_declared(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in SLOW if n not in FIRST])
def test_every_very_deep_network(name: str):
    assert_found_as_declared(name)


@pytest.mark.parametrize("name", ["resnet20", "preact20"])
@pytest.mark.parametrize("shortcut", ["A", "B", "C", "none"])
def test_shortcuts_by_name(name: str, shortcut: str):
    with torch.device("meta"):
        network = models.create(name, shortcut=shortcut).eval()
    kinds = [skip.kind for skip in find_skips(trace(network, (2, 3, 32, 32)))]
    changed = {"A": "resample", "B": "projection", "C": "projection"}.get(shortcut)
    expected = {
        "none": [],
        "C": ["projection"] * 9,
    }.get(shortcut, [changed if i in (3, 6) else "identity" for i in range(9)])
    assert kinds == expected
    assert len(kinds) == network.num_skips


def test_a_missing_skip_is_noticed():
    network = outline("resnet20")
    network.stages[1][1].shortcut.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    assert len(find_skips(trace(network, (2, 3, 32, 32)))) == network.num_skips - 1
