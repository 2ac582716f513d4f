"""What a skip does to the gradient of a deep network: the sheet's numbers, measured by our own functions."""

import math

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


def test_torchs_default_initialisation_shrinks_the_gradient_by_root_six_a_layer():
    """50 layers of width 256 with ReLU: 1/sqrt(6) = .40825 a layer, to 3 % of its logarithm; 1e-19 over all."""
    depth, logs = 50, []
    for seed in range(5):
        torch.manual_seed(seed)
        model = nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(256, 256), nn.ReLU())])
        record = gradient_flow(model, (torch.randn(64, 256), torch.randn(64, 256)), lambda o, t: (o * t).sum())
        logs.append(math.log(factor([layer.output_grad_norm for layer in record.layers])))
    assert sum(logs) / len(logs) == pytest.approx(math.log(6**-0.5), rel=0.03)


def test_he_initialisation_keeps_it():
    logs = []
    for seed in range(5):
        torch.manual_seed(seed)
        model = nn.Sequential(*[part for _ in range(50) for part in (nn.Linear(256, 256, bias=False), nn.ReLU())])
        for module in model[::2]:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        record = gradient_flow(model, (torch.randn(64, 256), torch.randn(64, 256)), lambda o, t: (o * t).sum())
        logs.append(math.log(factor([layer.output_grad_norm for layer in record.layers])))
    assert abs(sum(logs) / len(logs)) < 0.03


def chain(act: type[nn.Module], depth: int, seed: int, n: int = 256) -> list[float]:
    """The gradient's norm at each layer's output in a chain of Xavier-initialised layers."""
    torch.manual_seed(seed)
    model = nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(n, n, bias=False), act())])
    for module in model[::2]:
        nn.init.xavier_normal_(module.weight)
    record = gradient_flow(model, (torch.randn(16, n), torch.randn(16, n)), lambda o, t: (o * t).sum())
    return [layer.output_grad_norm for layer in record.layers]


def test_sigmoid_layers_shrink_it_by_0_236():
    """sqrt(E[phi'^2]) at the fixed point q* = .265, at most 1/4; +-3 % of its logarithm, 3.9e-32 over 50 layers."""
    norms = [chain(nn.Sigmoid, 50, seed) for seed in range(2)]
    measured = sum(math.log(factor(each)) for each in norms) / len(norms)
    assert measured == pytest.approx(math.log(0.2360), rel=0.03)
    assert norms[0][0] / norms[0][-1] == pytest.approx(3.9e-32, rel=9)


@pytest.mark.slow
@pytest.mark.parametrize(("depth", "ratio"), [(10, 0.262), (20, 0.189), (50, 0.122)])
def test_tanh_layers_shrink_it_by_a_power_of_depth(depth, ratio):
    """About .85 depth**-.5, not by a factor a layer."""
    found = [each[0] / each[-1] for each in (chain(nn.Tanh, depth, seed) for seed in range(2))]
    assert math.prod(found) ** (1 / 2) == pytest.approx(ratio, rel=0.2)


def test_batch_norm_makes_the_plain_networks_gradient_explode():
    """sqrt(pi / (pi - 1)) = 1.2112 a convolution going backwards, +-3 %: it does not vanish."""
    measured = math.prod(factor(stage_one(flow("plain56", seed))) for seed in range(3)) ** (1 / 3)
    assert measured == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), rel=0.03)


@pytest.mark.slow
def test_the_same_factor_in_plain_20_and_in_perceptrons():
    """1.2112 a convolution in plain-20 too; a perceptron of n = B = 256 has 1.470 for the square, at 10 layers."""
    measured = math.prod(factor(stage_one(flow("plain20", seed))) for seed in range(3)) ** (1 / 3)
    assert measured == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), rel=0.03)
    logs = []
    for seed in range(5):
        torch.manual_seed(seed)
        parts = [(nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()) for _ in range(10)]
        model = nn.Sequential(*(part for three in parts for part in three))
        record = gradient_flow(model, (torch.randn(256, 256), torch.randn(256, 256)), lambda o, t: (o * t).sum())
        inner = record.layers[1:-1]  # the first layer reads what no ReLU halved, the last one has no layer behind it
        logs.append(2 * math.log(factor([layer.output_grad_norm for layer in inner])))
    assert math.exp(sum(logs) / len(logs)) == pytest.approx(1.470, rel=0.03)


@pytest.mark.slow
def test_the_first_layers_gradient_explodes_in_plain_56_and_not_in_resnet_56():
    plain, residual = flow("plain56").layers, flow("resnet56").layers
    assert plain[0].grad_norm / plain[-2].grad_norm > 500
    assert residual[0].grad_norm / residual[-2].grad_norm < 50


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
