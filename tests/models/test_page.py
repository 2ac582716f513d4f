"""docs/models.md says what the networks are. Run `python -m skipstone.models.page docs/models.md` where this fails."""

from pathlib import Path

import pytest

from skipstone.models import names
from skipstone.models.page import page, row

DOCS = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
SMALL = [
    "plain20",
    "resnet56",
    "preact20",
    "wrn16_4",
    "dense20",
    "densenet40_12",
    "fixup20",
    "imagenet_resnet18",
    "unet",
    "highway19",
    "tutorial_cnn",
]


def test_everything_but_the_counts_is_up_to_date():
    counted = tuple(f"| `{name}` |" for name in names())
    rows = [line for line in DOCS.splitlines() if not line.startswith(counted)]
    assert "\n".join(rows) + "\n" == page([])


@pytest.mark.parametrize("name", SMALL)
def test_counts_of_small_networks_are_up_to_date(name: str):
    assert row(name) in DOCS.splitlines()


def test_every_network_has_its_row():
    assert all(sum(line.startswith(f"| `{name}` |") for line in DOCS.splitlines()) == 1 for name in names())


@pytest.mark.slow
def test_whole_page_is_up_to_date():
    assert page() == DOCS
