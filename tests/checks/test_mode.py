"""The mode is an argument: it decides what is checked, and the model itself is never put into it."""

import pytest
import torch
from torch import nn

import skipstone


class Drops(nn.Module):
    """Stochastic depth that never rescales: a fault of training alone."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        y = self.body(x)
        if self.training:
            y = y * (torch.rand(x.shape[0], 1, 1, 1) < 0.8)
        return x + y


class Merging(nn.Sequential):
    """A `train` that does more than set flags, as the LoRA scheme's does."""

    def train(self, mode=True):
        if mode != self.training:
            with torch.no_grad():
                self[0].weight.add_(1.0)
        return super().train(mode)


def test_check_sees_the_mode_it_is_asked_for():
    model = Drops()
    codes = {
        mode: {f.code for f in skipstone.check(model, (2, 3, 8, 8), mode=mode).findings} for mode in ("train", "eval")
    }
    assert "SK217" in codes["train"]
    assert "SK217" not in codes["eval"]
    assert {f.code for f in skipstone.check(model.eval(), (2, 3, 8, 8)).findings} == codes["eval"]
    assert {f.code for f in skipstone.check(model, (2, 3, 8, 8), mode="train").findings} == codes["train"]
    assert model.training is False


def test_legal_sizes_take_the_mode_too():
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))
    assert not skipstone.legal_sizes(model, (1, 3, "h", 8), h=range(1, 9), mode="train")["h"].legal
    assert len(skipstone.legal_sizes(model, (1, 3, "h", 8), h=range(1, 9), mode="eval")["h"].legal) == 8


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("run", [False, "auto"])
def test_no_train_method_of_the_users_is_called(mode, run):
    model = Merging(nn.Conv2d(3, 3, 3)).eval() if mode == "train" else Merging(nn.Conv2d(3, 3, 3))
    before = model[0].weight.clone()
    skipstone.check(model, (2, 3, 8, 8), mode=mode, run=run)
    assert torch.equal(model[0].weight, before)
    assert model.training is (mode == "eval")


def test_another_mode_is_refused():
    with pytest.raises(skipstone.SkipstoneError, match="mode is 'both', expected 'train' or 'eval'"):
        skipstone.check(nn.Identity(), (2, 3), mode="both")
