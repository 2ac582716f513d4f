"""Stochastic depth: the mean over masks, in both scalings; what dropping leaves alone."""

import pytest
import torch
from torch import nn

from skipstone.blocks.stochastic_depth import StochasticDepth, survival
from skipstone.core.errors import SkipstoneError, UnknownNameError


def both(block: StochasticDepth, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The training outputs with the branch kept and dropped."""
    block.train()
    found: dict[bool, torch.Tensor] = {}
    for seed in range(100):
        torch.manual_seed(seed)
        kept = bool(torch.rand(()) < block.survival)
        torch.manual_seed(seed)
        found[kept] = block(x)
    return found[True], found[False]


@pytest.mark.parametrize("scaling", ["paper", "inverted"])
def test_the_mean_over_masks_is_the_evaluation_output_of_a_linear_block(scaling: str) -> None:
    torch.manual_seed(0)
    block = StochasticDepth(nn.Linear(6, 6), 0.3, scaling=scaling).double()
    x = torch.randn(4, 6, dtype=torch.float64)
    kept, dropped = both(block, x)
    assert torch.equal(dropped, x)
    torch.testing.assert_close(0.3 * kept + 0.7 * dropped, block.eval()(x), rtol=0, atol=1e-14)


def test_with_a_relu_after_the_sum_the_mean_is_another() -> None:
    torch.manual_seed(0)
    block = StochasticDepth(nn.Linear(6, 6), 0.3, activation=nn.ReLU())
    x = torch.randn(4, 6)
    kept, dropped = both(block, x)
    assert not torch.allclose(0.3 * kept + 0.7 * dropped, block.eval()(x), atol=1e-3)


def test_the_two_scalings_differ_by_the_survival_probability() -> None:
    branch, x = nn.Linear(6, 6), torch.randn(4, 6)
    paper, inverted = (StochasticDepth(branch, 0.5, scaling=name).eval() for name in ("paper", "inverted"))
    torch.testing.assert_close(paper(x), x + 0.5 * branch(x))
    torch.testing.assert_close(inverted(x), x + branch(x))


@pytest.mark.parametrize("scaling", ["paper", "inverted"])
def test_a_draw_for_each_example(scaling: str) -> None:
    torch.manual_seed(0)
    branch = nn.Linear(6, 6)
    block = StochasticDepth(branch, 0.25, scaling=scaling, per="sample")
    x = torch.randn(4000, 6)
    y, full = block(x), x + branch(x) * (4 if scaling == "inverted" else 1)
    dropped = (y == x).all(dim=1)
    torch.testing.assert_close(y[~dropped], full[~dropped])
    assert 0.72 < dropped.float().mean() < 0.78  # 0.75 with deviation 0.007


def test_a_dropped_branch_is_not_run_and_its_batch_statistics_rest() -> None:
    block = StochasticDepth(nn.BatchNorm1d(3), 0.5)
    torch.manual_seed(next(s for s in range(50) if torch.manual_seed(s) and torch.rand(()) >= 0.5))
    block(torch.randn(8, 3))
    assert block.branch.num_batches_tracked == 0


def test_expected_depth_of_the_paper_s_network() -> None:
    """(3L - 1) / 4 = 40.25 active blocks at L = 54, variance 9.124."""
    chances = [survival(block, 54) for block in range(1, 55)]
    assert sum(chances) == pytest.approx(40.25)
    assert sum(p * (1 - p) for p in chances) == pytest.approx(9.124, abs=5e-4)
    assert chances[-1] == 0.5


def test_bad_settings() -> None:
    with pytest.raises(SkipstoneError, match=r"above 0 and at most 1, not 0"):
        StochasticDepth(nn.Identity(), 0)
    with pytest.raises(UnknownNameError, match="unknown scaling 'invert'; nearest: inverted"):
        StochasticDepth(nn.Identity(), 0.5, scaling="invert")
    with pytest.raises(UnknownNameError, match="unknown drawing 'batches'; nearest: batch"):
        StochasticDepth(nn.Identity(), 0.5, per="batches")
