"""Public networks: exact answers for 4,096 sizes in seconds."""

import time

import pytest
import torch

import skipstone

SIZES = range(1, 4097)


@pytest.mark.zoo
@pytest.mark.parametrize(
    ("name", "rule"),
    [("resnet50", "every h"), ("densenet121", "h >= 29"), ("vit_b_16", "224 only"), ("maxvit_t", "221 <= h <= 224")],
)
def test_torchvision(torchvision, name, rule):
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None).eval()
    start = time.process_time()
    report = skipstone.legal_sizes(model, (2, 3, "h", "h"), h=SIZES, seconds=120)
    assert report.rule == rule
    assert report.complete
    assert time.process_time() - start < (20 if name == "maxvit_t" else 5)


def test_unet_of_four_levels_is_fast():
    from skipstone import models

    model = models.create("unet").eval()
    start = time.process_time()
    report = skipstone.legal_sizes(model, (2, 1, "h", "h"), h=SIZES, seconds=120)
    assert report.rule == "h >= 16"
    assert time.process_time() - start < 5
