"""What is proved of residual networks in general, executed on our blocks."""

from itertools import product
from math import comb, sqrt

import pytest
import torch
from torch import Tensor, nn

from skipstone.blocks import PlainBlock, Residual, basic_branch
from skipstone.blocks.preactivation import basic_branch as preactivated_branch
from skipstone.blocks.preactivation import preactivation_block
from skipstone.blocks.skipinit import SkipInit


def linear_net(num: int, width: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(Residual(nn.Linear(width, width, bias=False)) for _ in range(num))).double()


def path_sum(net: nn.Sequential, x: Tensor) -> Tensor:
    """The sum over all 2^n choices, block by block, of taking the branch or the skip."""
    total = torch.zeros_like(x)
    for taken in product((False, True), repeat=len(net)):
        y = x
        for block, through in zip(net, taken, strict=True):
            y = block.branch(y) if through else y
        total = total + y
    return total


def test_paths_sum_to_the_forward_pass_of_a_linear_network() -> None:
    net, x = linear_net(8), torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(path_sum(net, x), net(x), rtol=1e-12, atol=1e-12)


def test_with_a_relu_in_the_branch_they_do_not() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*(Residual(nn.Sequential(nn.Linear(6, 6), nn.ReLU())) for _ in range(6))).double()
    x = torch.randn(3, 6, dtype=torch.float64)
    assert (path_sum(net, x) - net(x)).abs().max() > 1e-2


def test_path_lengths_are_binomial() -> None:
    """54 blocks: mean 27, deviation 3.674, 98.02 % of paths between 19 and 35 blocks long."""
    counts = [comb(54, length) for length in range(55)]
    assert sum(counts) == 2**54
    assert sum(counts[19:36]) / 2**54 == pytest.approx(0.9802, abs=5e-5)
    assert sum(counts[5:18]) / 2**54 == pytest.approx(0.004537, abs=5e-7)


def test_deleting_a_block_leaves_half_the_paths_of_a_residual_network_and_none_of_a_plain_one() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 6, 6)
    branches = [basic_branch(4, 4) for _ in range(4)]

    def without(wrap: type[nn.Module]) -> tuple[Tensor, Tensor]:
        net = nn.Sequential(*(wrap(branch) for branch in branches)).eval()
        whole = net(x)
        net[1].branch = nn.Sequential(nn.Flatten(0), _Zero(), nn.Unflatten(0, tuple(x.shape)))
        return whole, net(x)

    whole, cut = without(Residual)
    assert 0 < (whole - cut).norm() < whole.norm() * 2
    assert not torch.equal(cut, torch.zeros_like(cut))
    whole, cut = without(PlainBlock)
    y = torch.zeros_like(x)
    for branch in branches[2:]:
        y = torch.relu(branch(y))
    assert torch.equal(cut, y)  # nothing of the input is left in it
    assert not torch.equal(whole, y)


class _Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


def stack(alpha: float, depth: int, width: int, seed: int) -> nn.Sequential:
    """x + alpha W2 relu(W1 x), W1 He, Var W2 = 1 / n."""
    torch.manual_seed(seed)
    blocks = []
    for _ in range(depth):
        first, second = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        nn.init.normal_(first.weight, std=sqrt(2 / width))
        nn.init.normal_(second.weight, std=sqrt(1 / width))
        blocks.append(SkipInit(nn.Sequential(first, nn.ReLU(), second), alpha))
    return nn.Sequential(*blocks)


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_norms_grow_as_one_plus_alpha_squared_forward_and_backward(alpha: float) -> None:
    """E|x_L|^2 / |x_0|^2 = E|g_0|^2 / |g_L|^2 = (1 + alpha^2)^L; the mean of five seeds within 15 % at L = 10."""
    depth, width, forward, backward = 10, 256, [], []
    for seed in range(5):
        net = stack(alpha, depth, width, seed)
        x = torch.randn(16, width, requires_grad=True)
        y = net(x)
        grad = torch.randn_like(y)
        (into,) = torch.autograd.grad(y, x, grad)
        forward.append((y.square().sum() / x.square().sum()).item())
        backward.append((into.square().sum() / grad.square().sum()).item())
    want = (1 + alpha**2) ** depth
    assert sum(forward) / 5 == pytest.approx(want, rel=0.15)
    assert sum(backward) / 5 == pytest.approx(want, rel=0.15)


def test_at_alpha_zero_both_are_one_exactly() -> None:
    net = stack(0.0, 10, 32, 0)
    x = torch.randn(4, 32, requires_grad=True)
    y = net(x)
    assert torch.equal(y, x)
    (into,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(into, torch.ones_like(x))


def test_a_normalised_branch_adds_one_part_in_block_plus_one() -> None:
    """De and Smith: the variance share of block l's branch is 1 / (l + 1), with batch norm in training."""
    torch.manual_seed(0)
    width, shares = 512, []
    x = torch.randn(256, width)
    with torch.no_grad():
        for _ in range(20):
            layer = nn.Linear(width, width, bias=False)
            nn.init.normal_(layer.weight, std=sqrt(2 / width))
            # the last ReLU's mean is no variance: batch norm stands last
            branch = nn.Sequential(nn.BatchNorm1d(width), nn.ReLU(), layer, nn.BatchNorm1d(width))
            made = branch(x)
            x = x + made
            shares.append((made.var(dim=0).mean() / x.var(dim=0).mean()).item())
    for block in (1, 2, 5, 10, 20):
        assert shares[block - 1] == pytest.approx(1 / (block + 1), rel=0.05)


def test_a_dead_unit_gets_a_gradient_through_the_skip() -> None:
    """Orhan and Pitkow: with zero incoming weights a unit's outgoing weights learn only if a skip feeds it."""
    for skipped in (False, True):
        torch.manual_seed(0)
        first, second = nn.Linear(8, 8, bias=False), nn.Linear(8, 1, bias=False)
        with torch.no_grad():
            first.weight[3] = 0
        inner = Residual(nn.Sequential(first, nn.ReLU())) if skipped else nn.Sequential(first, nn.ReLU())
        second(inner(torch.randn(16, 8))).square().mean().backward()
        assert bool(second.weight.grad[0, 3] != 0) is skipped


def test_pre_activation_gradients_hold_the_identity_term() -> None:
    """dx_L / dx_l = I + ...: with dead branches the gradient passes unchanged through any number of blocks."""
    blocks = [preactivation_block(preactivated_branch(4, 4), 4, 4) for _ in range(20)]
    for block in blocks:
        nn.init.zeros_(block.branch.conv2.weight)
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    grad = torch.randn(2, 4, 5, 5)
    nn.Sequential(*blocks)(x).backward(grad)
    assert torch.equal(x.grad, grad)
