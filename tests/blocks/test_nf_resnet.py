"""Normaliser-free networks: standardised filters, the ReLU's gain, the predicted variance."""

import pytest
import torch
from torch import nn

from skipstone.blocks.nf_resnet import RELU_GAIN, GainedReLU, NormFree, StandardisedConv, betas, nf_branch


@pytest.mark.parametrize("groups", [1, 2])
def test_every_filter_has_mean_zero_and_variance_one_over_fan_in(groups: int) -> None:
    torch.manual_seed(0)
    layer = StandardisedConv(8, 6, groups=groups).double()
    nn.init.uniform_(layer.weight, 1, 5)  # far from standard
    flat = layer.effective_weight().flatten(1)
    assert flat.mean(dim=1).abs().max() < 1e-14
    torch.testing.assert_close(flat.var(dim=1, correction=0), torch.full((6,), 1 / flat.shape[1], dtype=torch.float64))


def test_the_gained_relu_keeps_variance_one() -> None:
    assert pytest.approx(1.712859, abs=1e-6) == RELU_GAIN
    x = torch.randn(400_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert GainedReLU()(x).var().item() == pytest.approx(1, rel=0.02)
    assert x.relu().var().item() == pytest.approx(0.341, rel=0.02)


def test_the_variance_of_the_stream_is_the_predicted_one() -> None:
    torch.manual_seed(0)
    alpha, num = 0.5, 8
    (stds,) = betas([num], alpha)
    assert [s**2 for s in stds] == pytest.approx([1 + alpha**2 * i for i in range(num)])
    x = torch.randn(2, 256, 12, 12)
    for beta in stds:
        assert x.std().item() == pytest.approx(beta, rel=0.12)
        with torch.no_grad():
            x = NormFree(nf_branch(256, 256), beta, alpha)(x)


def test_each_stage_begins_again_after_its_first_block() -> None:
    first, second = betas([3, 3], 0.2)
    assert [b**2 for b in first] == pytest.approx([1, 1.04, 1.08])
    assert [b**2 for b in second] == pytest.approx([1.12, 1.04, 1.08])


def test_a_shortcut_takes_the_scaled_input() -> None:
    path = nn.Conv2d(4, 8, 1)
    block = NormFree(nf_branch(4, 8), 2.0, 0.2, path)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(block(x), path(x / 2) + 0.2 * block.branch(x / 2))
