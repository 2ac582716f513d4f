"""Any branch's shape and size map, read off it without data, and the shortcut that follows it at every size."""

import pytest
import torch
from torch import nn

from skipstone.blocks import Dense, Residual, ReZero, basic_branch
from skipstone.blocks.parts.fitting import branch_maps, branch_shape
from skipstone.shapes.arithmetic import FloorMap, SizeError

TWO_CONVOLUTIONS = nn.Sequential(nn.Conv1d(3, 6, 2, 2, 2), nn.ReLU(), nn.Conv1d(6, 3, 2, 2, 2))


def test_shapes_are_found_without_computing_and_without_touching_the_branch() -> None:
    branch = nn.Sequential(nn.Conv2d(3, 6, 2, 2, 2), nn.BatchNorm2d(6), nn.ReLU())
    before = {key: value.clone() for key, value in branch.state_dict().items()}
    assert branch_shape(branch, (3, 32, 32)) == (6, 18, 18)
    branch_maps(branch, (3, 32, 32))
    assert all(torch.equal(value, before[key]) for key, value in branch.state_dict().items())
    assert branch[0].weight.device.type == "cpu"


@pytest.mark.parametrize("size", [5, 9, 16, 31])
@pytest.mark.parametrize(
    ("branch", "want"),
    [
        (nn.Conv1d(3, 6, 3, 2, 1), FloorMap.conv(3, 2, 1)),
        (nn.Conv1d(3, 6, 3), FloorMap.conv(3)),
        (TWO_CONVOLUTIONS, FloorMap(4, 12)),
        (nn.AvgPool1d(2), FloorMap(2, 0)),
        (nn.AvgPool1d(2, ceil_mode=True), FloorMap(2, 1)),
        (nn.Sequential(*(nn.Conv1d(3, 3, 3, 2, 1) for _ in range(3))), FloorMap(8, 7)),
        (nn.Sequential(*(nn.Conv1d(3, 3, 3, 2, 1) for _ in range(4))), None),  # stride 16: too long to be told
        (nn.AdaptiveAvgPool1d(3), None),
        (nn.Upsample(scale_factor=2), None),
    ],
)
def test_size_maps(branch: nn.Module, want: FloorMap | None, size: int) -> None:
    assert branch_maps(branch, (3, size)) == (want,)


def test_each_axis_has_its_own_map() -> None:
    branch = nn.Conv2d(3, 4, (3, 1), (2, 1), (1, 0))
    assert branch_maps(branch, (3, 9, 7)) == (FloorMap(2, 1), FloorMap())


def test_a_branch_made_for_one_size_has_no_map() -> None:
    branch = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8, 3 * 8), nn.Unflatten(1, (3, 8)))
    assert branch_maps(branch, (3, 8)) == (None,)
    assert Residual(branch, example=(3, 8))(torch.randn(2, 3, 8)).shape == (2, 3, 8)


@pytest.mark.parametrize("example", [8, 9])
@pytest.mark.parametrize(
    "branch",
    [
        nn.Conv1d(4, 6, 3, 2, 1),
        nn.Conv1d(4, 4, 3, 2, 1),
        nn.Conv1d(4, 4, 2, 2),
        nn.Conv1d(4, 6, 3),
        basic_branch(4, 8, 3, dims=1),
    ],
)
def test_the_shortcut_fits_at_every_size_whatever_the_example_was(branch: nn.Module, example: int) -> None:
    block, dense = ReZero(branch, example=(4, example)), Dense(branch, example=(4, example))
    for size in range(3, 40):
        x = torch.randn(2, 4, size)
        assert block(x).shape == branch(x).shape, size
        assert dense(x).shape[2] == branch(x).shape[2], size


def test_fitted_to_one_size_alone_it_would_not() -> None:
    """8 -> 4 is ceil(h / 2) and floor(h / 2) alike; the branch decides."""
    up = Residual(nn.Conv1d(4, 4, 3, 2, 1), example=(4, 8))
    down = Residual(nn.Conv1d(4, 4, 2, 2), example=(4, 8))
    assert (up.shortcut.ceil_mode, down.shortcut.ceil_mode) == (True, False)


def test_a_branch_must_return_one_tensor() -> None:
    with pytest.raises(SizeError, match="a branch must return one tensor, not tuple"):
        branch_shape(nn.LSTM(4, 4), (5, 4))
