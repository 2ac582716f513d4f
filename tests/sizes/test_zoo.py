"""Public networks: exact answers for 4,096 sizes, from a few passes over all of them at once (20 ms to 200 ms each)."""

import re

import pytest
import torch

import skipstone

SIZES = range(1, 4097)


def passes(report):
    """How many passes the answer took: what it costs, whatever else the machine does."""
    return int(re.search(r"(\d+) pass", report.method)[1])


@pytest.mark.zoo
@pytest.mark.parametrize(
    ("name", "rule"),
    [("resnet50", "every h"), ("densenet121", "h >= 29"), ("vit_b_16", "224 only"), ("maxvit_t", "221 <= h <= 224")],
)
def test_torchvision(torchvision, name, rule):
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None).eval()
    report = skipstone.legal_sizes(model, (2, 3, "h", "h"), h=SIZES, seconds=120)
    assert report.rule == rule
    assert report.complete
    assert passes(report) < (200 if name == "maxvit_t" else 50)


def test_unet_of_four_levels_takes_few_passes():
    from skipstone import models

    model = models.create("unet").eval()
    report = skipstone.legal_sizes(model, (2, 1, "h", "h"), h=SIZES, seconds=120)
    assert report.rule == "h >= 16"
    assert passes(report) < 50
