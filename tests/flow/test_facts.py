"""What a skip does to the gradient of a deep network: the sheet's numbers, measured by our own functions."""

import math
import statistics
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import nn

from skipstone.flow import gradient_flow
from skipstone.models import create
from skipstone.runs.flow import FlowRecord


def images(n: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, 3, 32, 32), torch.randint(0, 10, (n,))


def flow(name: str, seed: int = 0, **options: object) -> FlowRecord:
    torch.manual_seed(seed)
    return gradient_flow(create(name, **options), images())


def factor(norms: list[float]) -> float:
    """By how much the gradient's norm grows per layer, going backwards."""
    return (norms[0] / norms[-1]) ** (1 / (len(norms) - 1))


def stage_one(record: FlowRecord) -> list[float]:
    convs = [layer for layer in record.layers if layer.kind == "conv"]
    return [layer.output_grad_norm for layer in convs[1 : 1 + (len(convs) - 1) // 3]]


def mean(values: Iterable[float]) -> float:
    """The geometric mean."""
    return statistics.geometric_mean(values)


def course(act: type[nn.Module], depth: int, seed: int, init: str, n: int = 256) -> float:
    """|g_0| / |g_L|: the gradient at the input of a chain of layers of width n over that at its output.

    A layer in front, without an activation, has that input as its output; the loss sends a known gradient back.
    """
    torch.manual_seed(seed)
    stem, layers = nn.Linear(n, n, bias=False), [nn.Linear(n, n, bias=init == "torch") for _ in range(depth)]
    nn.init.eye_(stem.weight)
    for layer in layers:
        if init != "torch":
            nn.init.kaiming_normal_(layer.weight) if init == "he" else nn.init.xavier_normal_(layer.weight)
    model = nn.Sequential(stem, *(part for layer in layers for part in (layer, act())))
    x, sent = torch.randn(16, n), torch.randn(16, n)
    record = gradient_flow(model, (x, sent), lambda o, t: (o * t).sum())
    return record.layers[0].output_grad_norm / float(sent.norm())


@pytest.mark.parametrize(("act", "init", "theory", "total"), [
    (nn.ReLU, "he", 1.0, 1.0), (nn.ReLU, "torch", 6**-0.5, 3.2e-20), (nn.Sigmoid, "xavier", 0.2360, 3.9e-32),
])  # fmt: skip
def test_the_factor_of_a_layer(act, init, theory, total):
    """C1: sqrt(Var(w) n E[phi'^2]) a layer over 50 layers of width 256, mean of 5 seeds, to 3 % a layer.

    1/sqrt(6) with torch's own initialisation, .2360 for sigmoid at its fixed point q* = .265. Over all 50, the sheet's
    number is met to 30 %: one seed scatters by 13 to 30 %.
    """
    measured = mean(course(act, 50, seed, init) for seed in range(5))
    assert math.log(measured) / 50 == pytest.approx(math.log(theory), abs=0.03)
    assert measured == pytest.approx(total, rel=0.3)


def tanh_by_theory(depth: int) -> float:
    """|g_0| / |g_L| at infinite width: the square root of the product of E[phi'(sqrt(q) z)^2], q from 1 on."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    weights, q, product = weights / weights.sum(), 1.0, 1.0
    for _ in range(depth):
        h = np.tanh(math.sqrt(q) * nodes)
        product *= float(weights @ (1 - h**2) ** 2)
        q = float(weights @ h**2)
    return math.sqrt(product)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "sheet"), [(10, 0.262), (20, 0.189), (50, 0.122)])
def test_tanh_layers_shrink_it_by_a_power_of_depth(depth, sheet):
    """C1: about .85 depth**-.5, not by a factor a layer.

    Within 3 % of the theory over 40 seeds; the sheet's own numbers are means of 5, whose error is 2 to 5 %.
    """
    measured = mean(course(nn.Tanh, depth, seed, "xavier") for seed in range(40))
    assert measured == pytest.approx(tanh_by_theory(depth), rel=0.03)
    assert measured == pytest.approx(sheet, rel=0.05)


def test_in_float16_it_is_flushed_to_zero():
    """C11: behind 50 layers 1e-19 of the gradient is left; bfloat16 holds it, float16 has nothing below 2**-24."""
    found = {}
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        torch.manual_seed(0)
        model = nn.Sequential(*[part for _ in range(50) for part in (nn.Linear(256, 256), nn.ReLU())]).to(dtype)
        x, sent = torch.randn(16, 256).to(dtype), torch.randn(16, 256).to(dtype)
        found[dtype] = gradient_flow(model, (x, sent), lambda o, t: (o.float() * t.float()).sum())
    single, brain, half = (record.layers[0].output_grad_norm for record in found.values())
    assert brain == pytest.approx(single, rel=0.05)
    assert half == 0 < single < 1e-17
    says = [verdict.says for verdict in found[torch.float16].verdicts if verdict.is_ill]
    assert says[0].startswith("the gradient is exactly zero in the first ")
    assert [v.kind for v in found[torch.float16].verdicts if v.is_ill] == ["vanishing", "gradient underflow"]


def test_batch_norm_makes_the_plain_networks_gradient_explode():
    """sqrt(pi / (pi - 1)) = 1.2112 a convolution going backwards, +-3 %: it does not vanish."""
    measured = mean(factor(stage_one(flow("plain56", seed))) for seed in range(3))
    assert measured == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), rel=0.03)


@pytest.mark.slow
def test_the_same_factor_in_plain_20():
    measured = mean(factor(stage_one(flow("plain20", seed))) for seed in range(3))
    assert measured == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "square"), [(5, 1.472), (10, 1.470), (20, 1.465), (30, 1.453)])
def test_and_in_perceptrons(depth, square):
    """C2: the square of the factor at n = B = 256, to 1 %."""
    found = []
    for seed in range(5):
        torch.manual_seed(seed)
        parts = [(nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()) for _ in range(depth + 1)]
        model = nn.Sequential(*(part for three in parts for part in three))
        record = gradient_flow(model, (torch.randn(256, 256), torch.randn(256, 256)), lambda o, t: (o * t).sum())
        inner = record.layers[1:-1]  # the first layer reads what no ReLU halved, the last one has no layer behind it
        found.append(factor([layer.output_grad_norm for layer in inner]) ** 2)
    assert mean(found) == pytest.approx(square, rel=0.01)


def he(name: str, seed: int, **options: object) -> FlowRecord:
    """A network whose convolutions and head are all He-normal over their inputs, on one batch of noise."""
    torch.manual_seed(seed)
    model = create(name, **options)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return gradient_flow(model, images())


def first_over_last(record: FlowRecord) -> float:
    """The weights' gradients: the first convolution of the first block over the last one of the last block."""
    convs = [layer.grad_norm for layer in record.layers if layer.kind == "conv"]
    return convs[1] / convs[-1]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "norm", "sheet"), [
    ("plain56", "batch", 3.7e3), ("resnet56", "batch", 11.5), ("plain56", "none", 0.57),
])  # fmt: skip
def test_the_first_blocks_gradient_over_the_last_ones(name, norm, sheet):
    """C2: with batch norm it explodes in plain-56 and hardly grows in ResNet-56, without norm neither.

    The sheet's are means of 3 seeds, one of which scatters by a factor of 1.8 (plain) or 1.1: theirs have an error of
    35 and 6 %, these of 12 seeds half that.
    """
    measured = mean(first_over_last(he(name, seed, norm=norm)) for seed in range(12))
    assert measured == pytest.approx(sheet, rel=0.2)


@pytest.mark.slow
def test_without_norm_resnet_56_blows_up_going_forward():
    assert mean(he("resnet56", seed, norm="none").loss for seed in range(12)) == pytest.approx(3.7e4, rel=0.1)


def test_without_norm_and_with_torchs_initialisation_plain_56_vanishes():
    plain = flow("plain56", norm="none", init="torch").layers
    residual = flow("resnet56", norm="none", init="torch").layers
    assert 0 < plain[0].grad_norm < 1e-15
    assert residual[0].grad_norm > 1e-3
    assert plain[0].grad_norm < plain[20].grad_norm < plain[40].grad_norm < plain[-1].grad_norm


def test_a_vanished_gradient_is_lost_to_rounding():
    """The whole story in one step: plain-56's first layer gets a gradient, and its weights do not move."""
    from skipstone.flow import watch

    torch.manual_seed(0)
    model = create("plain56", norm="none", init="torch")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = images()
    with watch(model, optimizer) as seen:
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    first, last = seen.last.layers[0], seen.last.layers[-1]
    assert first.grad_norm > 0
    assert first.lost_updates == 1
    assert last.lost_updates < 0.01
