"""The sheet's numbers for paths, isometry, fluctuations, shattering and slices, by our functions."""

import itertools
import math

import pytest
import torch
from torch import nn

from skipstone.flow.studies import (
    autocorrelation,
    filter_normalised,
    gradient_autocorrelation,
    loss_slice,
    path_lengths,
    path_moments,
    singular_values,
)


def test_paths_through_54_blocks():
    """C4 (Veit 2016): mean 27, sd 3.674; P(19 <= k <= 35) = .9802; .004537 of them have 5 to 17 branches."""
    shares = path_lengths([1] * 54)
    assert path_moments(shares) == (pytest.approx(27), pytest.approx(3.674, abs=1e-3))
    assert sum(shares[19:36]) == pytest.approx(0.9802, abs=5e-5)
    assert sum(shares[5:18]) == pytest.approx(0.004537, abs=5e-7)
    assert path_moments(path_lengths([0.25] * 54)) == (pytest.approx(10.8), pytest.approx(2.94, abs=0.01))


def test_the_paths_of_a_linear_network_add_up_to_it():
    """2**8 products of branches equal the forward pass to 6e-16; without one block half of them are left."""
    torch.manual_seed(0)
    branches = [torch.randn(4, 4, dtype=torch.float64) / 16 for _ in range(8)]
    whole = torch.eye(4, dtype=torch.float64)
    for branch in branches:
        whole = whole + branch @ whole
    paths = list(itertools.product((0, 1), repeat=8))
    products = []
    for taken in paths:
        product = torch.eye(4, dtype=torch.float64)
        for branch in itertools.compress(branches, taken):
            product = branch @ product
        products.append(product)
    total = torch.stack(products).sum(0)
    assert float((total - whole).abs().max() / whole.abs().max()) < 6e-16
    assert sum(taken[3] == 0 for taken in paths) == 2**7
    assert path_lengths([1] * 8) == [math.comb(8, k) / 2**8 for k in range(9)]


@pytest.mark.slow
def test_norms_fluctuate_with_depth_over_width():
    """C6 (Hanin and Rolnick 2018): E[M] = 1 and E[M²] / E[M]² = (1 + 5/n)**d for a plain He network.

    Given x, the entries of W x are independent normal numbers of variance 2 ‖x‖² / n: drawn as such.
    """
    torch.manual_seed(0)
    for n in (128, 64):  # 256, at 1.213, differs by the width alone
        square = torch.ones(20000, dtype=torch.float64)
        for _ in range(10):
            drawn = torch.randn(20000, n).relu_().square_().sum(1).double()
            square = square * drawn * 2 / n
        assert float(square.mean()) == pytest.approx(1, abs=0.03)
        assert float(square.square().mean() / square.mean() ** 2) == pytest.approx((1 + 5 / n) ** 10, rel=0.05)


class Chain(nn.Module):
    """L layers of width n: plain, act(W x), or residual, x + alpha W2 relu(W1 x)."""

    def __init__(self, weights, act=torch.relu, alpha=None, second=()):
        super().__init__()
        self.weights, self.act, self.alpha, self.second = weights, act, alpha, second

    def forward(self, x):
        if self.alpha is None:
            for weight in self.weights:
                x = self.act(weight @ x)
        for one, two in zip(self.weights, self.second, strict=False):
            x = x + self.alpha * (two @ torch.relu(one @ x))
        return x


def residual(n, depth, alpha):
    return Chain(gaussian(n, depth, 2), alpha=alpha, second=gaussian(n, depth, 1))


def gaussian(n, depth, variance):
    return [torch.randn(n, n, dtype=torch.float64) * (variance / n) ** 0.5 for _ in range(depth)]


def test_isometry():
    """C12, n = 64, L = 64: orthogonal layers and ReZero keep all directions, plain ones almost none."""
    torch.manual_seed(0)
    n, depth = 64, 64
    x = torch.randn(n, dtype=torch.float64)
    orthogonal = [nn.init.orthogonal_(torch.empty(n, n, dtype=torch.float64)) for _ in range(depth)]
    for exact in (Chain(orthogonal, act=lambda h: h), residual(n, depth, 0.0)):
        found = singular_values(exact, x)
        assert found.max() == pytest.approx(1, abs=1e-9)
        assert found.min() == pytest.approx(1, abs=1e-9)
    assert float(singular_values(Chain(gaussian(n, depth, 1), act=lambda h: h), x).min()) < 1e-6
    assert float(singular_values(Chain(gaussian(n, depth, 2)), x).min()) < 1e-6
    mild, middle, wild = (singular_values(residual(n, depth, alpha), x) for alpha in (1 / depth, depth**-0.5, 1.0))
    assert 0.7 < float(mild.min()) < float(mild.max()) < 1.4  # the sheet, n = 128: .84 and 1.19
    assert float(mild.square().mean()) == pytest.approx((1 + depth**-2) ** depth, rel=0.05)
    assert float(middle.square().mean()) == pytest.approx((1 + 1 / depth) ** depth, rel=0.25)
    assert 2 < float(middle.max()) < 8
    assert float(wild.max()) > 1e8


def test_singular_values_are_those_of_the_matrix():
    layer = nn.Linear(3, 5)
    expected = torch.linalg.svdvals(layer.weight.detach().double())
    assert torch.allclose(singular_values(layer, torch.randn(3)), expected)


def test_autocorrelation_of_known_series():
    alternating = torch.tensor([1.0, -1.0] * 50)
    assert autocorrelation(alternating, [0, 1, 2]) == [1, pytest.approx(-0.99), pytest.approx(0.98)]
    white = torch.randn(20000, generator=torch.Generator().manual_seed(0))
    assert abs(autocorrelation(white, [1])[0]) < 0.03


def test_gradients_of_a_line_are_autograds():
    """Of a quadratic the gradient along a line is a straight line itself: the lags of a ramp."""
    line = torch.linspace(-2, 2, 64, dtype=torch.float64).view(-1, 1)
    ramp = autocorrelation(2 * line.flatten(), [1, 10])
    assert gradient_autocorrelation(nn.Identity(), line, [0]) == [1.0]  # constant: no variance

    class Square(nn.Module):
        def forward(self, x):
            return x.square()

    assert gradient_autocorrelation(Square(), line) == pytest.approx(ramp)


def rescaled(model):
    with torch.no_grad():
        model[0].weight *= 10
        model[0].bias *= 10
        model[2].weight /= 10
    return model


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).double()


def test_filter_normalised_slices_do_not_depend_on_the_scale_of_layers():
    """C9 (Li 2018): W1 times 10 and W2 / 10 is the same network; the slice moves by 1e-14 and the raw one by 1e-2."""
    x, y = torch.randn(32, 4, dtype=torch.float64), torch.arange(32) % 3
    at = [-1.0, -0.5, 0.0, 0.5, 1.0]

    def slice_of(model, normalised):
        direction = filter_normalised(model, seed=1)
        if not normalised:
            random = torch.Generator().manual_seed(1)
            drawn = {n: torch.randn(p.shape, generator=random).to(p) for n, p in model.named_parameters()}
            direction = {n: d if d.ndim > 1 else torch.zeros_like(d) for n, d in drawn.items()}
        return loss_slice(model, lambda net: nn.functional.cross_entropy(net(x), y), direction, at)

    one, other = (slice_of(model, True) for model in (small(), rescaled(small())))
    assert one == pytest.approx(other, abs=1e-12)
    one, other = (slice_of(model, False) for model in (small(), rescaled(small())))
    assert max(abs(a - b) for a, b in zip(one, other, strict=True)) > 1


def test_a_slice_leaves_the_network_alone_and_begins_at_its_loss():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x, y = torch.randn(16, 4), torch.arange(16) % 3
    found = loss_slice(model, lambda net: nn.functional.cross_entropy(net(x), y), filter_normalised(model), [0.0])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert found == [pytest.approx(float(nn.functional.cross_entropy(model(x), y).detach()))]
