"""The whitening stem: what its filters do to the patches they were taken from."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.blocks.parts.whitening import Whitening
from skipstone.core.errors import SkipstoneError
from skipstone.data import Images, Pixels
from skipstone.models.resnet9 import resnet9
from skipstone.training.trial import fit_whitening


def smooth(n: int = 200) -> torch.Tensor:
    """Images whose neighbours resemble each other, as photographs' do; their channels too."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(n, 3, 12, 12, generator=generator)
    return F.avg_pool2d(noise + noise.mean(1, keepdim=True), 3, stride=1) * 3


def covariance(maps_NCHW: torch.Tensor) -> torch.Tensor:
    inner = maps_NCHW[..., 1:-1, 1:-1].movedim(1, -1).flatten(0, -2).double()  # the rim has seen the padding
    return inner.T @ inner / len(inner)


def test_channels_come_out_uncorrelated_and_of_equal_variance():
    images, stem = smooth(), Whitening(3, eps=0.0)
    before = covariance(stem(images))
    stem.fit(images)
    assert not torch.allclose(before, torch.eye(27).double(), atol=0.1)
    torch.testing.assert_close(covariance(stem(images)), torch.eye(27).double(), atol=1e-3, rtol=0)


def test_signed_filters_of_even_patches():
    images, stem = smooth(), Whitening(3, kernel=2, signed=True, eps=0.0)
    stem.fit(images)
    maps = stem(images)
    assert maps.shape == (200, 24, 9, 9)  # of 10 x 10
    assert torch.equal(stem.weight[12:], -stem.weight[:12])
    rows = maps[:, :12].movedim(1, -1).flatten(0, -2).double()
    torch.testing.assert_close(rows.T @ rows / len(rows), torch.eye(12).double(), atol=1e-3, rtol=0)


def test_a_network_with_the_signed_stem_has_no_weights_before_its_first_stage():
    network = resnet9(width=8, stem="signed-whitening", pool="first")
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert [name for name, _ in network.named_parameters() if name.startswith("stem")] == []
    assert network.stages[0][0].conv.weight.shape == (16, 24, 3, 3)
    with pytest.raises(SkipstoneError, match="2 spatial axes, not 1"):
        resnet9(stem="signed-whitening", dims=1)


def test_eps_bounds_what_is_made_of_faint_patterns():
    images, stem = smooth(), Whitening(3, eps=1.0)
    stem.fit(images)
    variances = covariance(stem(images)).diagonal()
    assert variances.max() < 1
    assert variances.min() < 0.1


def test_filters_are_saved_and_never_trained():
    stem = Whitening(3)
    assert list(stem.parameters()) == []
    assert list(stem.state_dict()) == ["weight"]
    with pytest.raises(SkipstoneError, match="2 spatial axes, not 1"):
        Whitening(3, dims=1)


def test_a_network_is_fitted_to_what_it_will_see():
    levels = (smooth() * 40 + 128).clamp(0, 255).byte()
    images = Images(levels, torch.zeros(len(levels), dtype=torch.int64))
    pixels, network = Pixels.of(images), nn.Sequential(Whitening(3), nn.Conv2d(27, 8, 1))
    fitted = Whitening(3)
    fitted.fit(pixels.normalise(levels))
    assert fit_whitening(network, pixels, images) is network
    assert torch.equal(network[0].weight, fitted.weight)
