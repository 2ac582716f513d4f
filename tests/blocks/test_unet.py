"""U-Net's long skips: any size fits, by each way; the whole network's counts."""

import pytest
import torch
from torch import nn

from skipstone.blocks.unet import FITS, LongSkip, fit, unet_levels
from skipstone.core.errors import UnknownNameError


@pytest.mark.parametrize("how", ["pad", "interpolate"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_size_from_two_to_the_depth_up_comes_out_as_it_went_in(how: str, depth: int) -> None:
    model = unet_levels(1, 2, depth, how=how, dims=1).eval()
    for size in range(2**depth, 2**depth + 20):
        assert model(torch.zeros(1, 1, size)).shape == (1, 2, size)
    with pytest.raises(RuntimeError):  # the plain pooling that a smaller size could not pass
        model(torch.zeros(1, 1, 2**depth - 1))


def test_without_fitting_odd_sizes_fail() -> None:
    inner = nn.Sequential(nn.MaxPool1d(2), nn.Upsample(scale_factor=2))
    x = torch.zeros(1, 2, 9)
    assert LongSkip(inner)(x).shape == (1, 4, 9)
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        torch.cat((x, inner(x)), dim=1)


def test_crop_takes_the_middle_as_the_paper_s_unpadded_network_wants() -> None:
    """572 in, 388 out, at four levels; here at two: 44 -> 4 by the same arithmetic."""
    e = torch.arange(10.0).view(1, 1, 10)
    assert fit(e, torch.zeros(1, 1, 4)).flatten().tolist() == [3, 4, 5, 6]
    model = unet_levels(1, 2, 4, how="crop", dims=1)
    with torch.device("meta"):
        wanted = unet_levels(1, 2, 4, how="crop", dims=1)(torch.zeros(1, 1, 572)).shape
    assert wanted == (1, 2, 388)
    assert sum(p.numel() for p in model.parameters()) > 0


def test_padding_puts_the_odd_position_after() -> None:
    assert fit(torch.ones(1, 1, 4), torch.zeros(1, 1, 7)).flatten().tolist() == [0, 1, 1, 1, 1, 0, 0]


def test_the_encoder_s_channels_pass_unchanged_and_first() -> None:
    x = torch.randn(2, 3, 7, 5)
    y = LongSkip(nn.Sequential(nn.MaxPool2d(2), nn.Upsample(scale_factor=2)))(x)
    assert torch.equal(y[:, :3], x)


@pytest.mark.parametrize(
    ("in_channels", "classes", "norm_name", "count"), [(1, 2, "none", 31_030_658), (3, 2, "batch", 31_037_698)]
)
def test_counts_of_the_whole_network(in_channels: int, classes: int, norm_name: str, count: int) -> None:
    with torch.device("meta"):
        model = nn.Sequential(unet_levels(in_channels, norm_name=norm_name), nn.Conv2d(64, classes, 1))
    assert sum(p.numel() for p in model.parameters()) == count


def test_an_unknown_way_to_fit_is_refused() -> None:
    assert FITS == ("pad", "interpolate", "crop")
    with pytest.raises(UnknownNameError, match="unknown way to fit 'croop'; nearest: crop"):
        LongSkip(nn.Identity(), "croop")
