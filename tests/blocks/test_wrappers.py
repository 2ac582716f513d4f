"""Every design that wraps a branch takes any branch, its shortcut found by the exact planner."""

import pytest
import torch
from torch import nn

from skipstone.blocks import Residual, build, option_a
from skipstone.blocks.densenet import Dense
from skipstone.blocks.dropout_shortcut import DropoutShortcut
from skipstone.blocks.layer_scale import LayerScale
from skipstone.blocks.orthogonal_update import OrthogonalUpdate
from skipstone.blocks.rezero import ReZero
from skipstone.blocks.scaled_shortcut import ScaledShortcut
from skipstone.blocks.skipinit import SkipInit
from skipstone.blocks.stochastic_depth import StochasticDepth
from skipstone.shapes.arithmetic import SizeError
from skipstone.shapes.reconcile import named, reconcile

WRAPPERS = {
    "residual": Residual,
    "rezero": ReZero,
    "skipinit": SkipInit,
    "scaled_shortcut": ScaledShortcut,
    "dropout_shortcut": DropoutShortcut,
    "stochastic_depth": StochasticDepth,
    "orthogonal_update": OrthogonalUpdate,
    "layer_scale": lambda branch, **options: LayerScale(branch, 6, **options),
}
BRANCHES = {
    "same": (nn.Conv2d(6, 6, 3, padding=1), (6, 9, 9)),
    "wider": (nn.Conv2d(4, 6, 3, padding=1), (4, 9, 9)),
    "odd": (nn.Conv2d(4, 6, 3, 2, 1), (4, 9, 9)),
    "no-ratio": (nn.Conv2d(4, 6, 7, 3), (4, 34, 31)),
    "grows": (nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), (4, 5, 6)),
    "1-d": (nn.Conv1d(4, 6, 5, 2), (4, 20)),
    "3-d": (nn.Conv3d(4, 6, 3, 2, 1), (4, 5, 6, 7)),
    "features": (nn.Linear(4, 6), (4,)),
    "narrows": (nn.Linear(8, 6), (8,)),
}


@pytest.mark.parametrize("branch", BRANCHES)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_any_branch(wrapper: str, branch: str) -> None:
    torch.manual_seed(0)
    module, shape = BRANCHES[branch]
    x = torch.randn(3, *shape)
    y = WRAPPERS[wrapper](module, example=shape)(x)
    assert y.shape == module(x).shape


@pytest.mark.parametrize("wrapper", [name for name in WRAPPERS if name != "layer_scale"])
def test_a_branch_alone_gets_the_identity(wrapper: str) -> None:
    block = WRAPPERS[wrapper](nn.Linear(5, 5))
    assert isinstance(block.shortcut, nn.Identity)
    assert block(torch.randn(2, 5)).shape == (2, 5)


def test_a_plan_may_be_named() -> None:
    branch = nn.Conv2d(4, 6, 3, 2, 1)
    block = Residual(branch, example=(4, 9, 9), plan="option_a")
    x = torch.randn(2, 4, 9, 9)
    torch.testing.assert_close(block(x), option_a(4, 6, 2)(x) + branch(x))
    with pytest.raises(SizeError, match="no plan 'option_b' fits these shapes; possible: projection"):
        Residual(branch, example=(4, 9, 9), plan="option_b")


def test_dense_fits_sizes_and_leaves_channels() -> None:
    for module, shape in BRANCHES.values():
        x = torch.randn(2, *shape)
        if len(shape) > 1:
            assert Dense(module, example=shape)(x).shape[1] == shape[0] + 6


def test_a_shortcut_of_one_s_own_is_taken_as_it_is() -> None:
    path = build(named(reconcile((4, 9, 9), (6, 5, 5)), "max_pool_projection"))
    block = ReZero(nn.Conv2d(4, 6, 3, 2, 1), path, example=(4, 9, 9))
    assert block.shortcut is path
    x = torch.randn(2, 4, 9, 9)
    assert torch.equal(block(x), path(x))
