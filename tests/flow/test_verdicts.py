"""Planted ills, each found and named; networks with nothing wrong, none of them accused."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.flow import gradient_flow, watch
from skipstone.models import create
from skipstone.runs.flow import THRESHOLDS, FlowRecord, LayerFlow, SkipFlow


class Block(nn.Module):
    def __init__(self, width=8, scale=1.0, learned=None):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, 1, 1), nn.BatchNorm2d(width)
        self.scale = nn.Parameter(torch.full((width, 1, 1), learned)) if learned is not None else scale

    def forward(self, x):
        return x + self.scale * torch.relu(self.norm(self.conv(x)))


def residual(*blocks: Block) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


def stack(act, depth=12, width=64, norm=False):
    parts = [nn.Flatten(), nn.Linear(192, width)]
    for _ in range(depth):
        parts += [nn.Linear(width, width), *([nn.BatchNorm1d(width)] if norm else []), act()]
    return nn.Sequential(*parts, nn.Linear(width, 10))


def batch(n=16):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.randint(0, 10, (n,), generator=generator)


def seen(model, **options) -> FlowRecord:
    return gradient_flow(model, batch(), skips=True, **options)


def kinds(record: FlowRecord) -> list[str]:
    return [verdict.kind for verdict in record.verdicts if verdict.is_ill]


def step(model, make, *, loss=F.cross_entropy, cast=lambda x: x) -> FlowRecord:
    optimizer = make(model.parameters())
    x, y = batch()
    with watch(model, optimizer) as flow:
        loss(model(cast(x)), y).backward()
        optimizer.step()
    return flow.last


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


# ---- ills


def test_a_sigmoid_stack_vanishes():
    record = seen(stack(nn.Sigmoid))
    (verdict,) = [v for v in record.verdicts if v.is_ill]
    assert verdict.kind == "vanishing"
    assert verdict.where == ("1",)
    assert verdict.value < verdict.threshold == THRESHOLDS["vanishing"].value
    assert verdict.source
    assert verdict.try_


def test_torchs_default_initialisation_is_named_by_its_factor():
    record = gradient_flow(
        nn.Sequential(*[part for _ in range(20) for part in (nn.Linear(256, 256), nn.ReLU())]),
        (torch.randn(64, 256), torch.randn(64, 256)), lambda o, t: (o * t).sum(),
    )  # fmt: skip
    (verdict,) = record.verdicts
    assert verdict.kind == "vanishing"
    assert "1/sqrt(6)" in verdict.says


def test_a_deep_plain_network_with_batch_norm_explodes_and_does_not_vanish():
    record = gradient_flow(stack(nn.ReLU, depth=45, norm=True), batch(64))
    assert kinds(record) == ["exploding"]


def test_a_branch_scaled_by_a_millionth_is_dead():
    record = seen(residual(Block(), Block(scale=1e-6), Block()))
    assert kinds(record) == ["dead branch"]
    assert record.verdicts[0].where == ("2",)


def test_all_branches_scaled_by_a_millionth_are_dead():
    record = seen(residual(*(Block(scale=1e-6) for _ in range(5))))
    assert kinds(record) == ["dead branch"]
    assert len(record.verdicts[0].where) == 5


def test_a_shortcut_scaled_away_is_blocked():
    class Blocked(Block):
        def forward(self, x):
            return 1e-5 * x + torch.relu(self.norm(self.conv(x)))

    assert kinds(seen(residual(Block(), Blocked(), Block()))) == ["shortcut blocked"]


def test_a_frozen_layer_is_named():
    model = residual(Block(), Block())
    model[1].conv.weight.requires_grad_(False)
    record = step(model, lambda p: torch.optim.SGD([q for q in p if q.requires_grad], lr=0.1))
    (verdict,) = [v for v in record.verdicts if v.kind == "frozen"]
    assert verdict.where == ("1.conv",)


def test_a_layer_the_optimizer_does_not_have_is_named():
    model = residual(Block(), Block())
    record = step(model, lambda p: torch.optim.SGD([q for q in p if q is not model[1].conv.weight], lr=0.1))
    assert kinds(record) == ["not optimised"]
    assert record.verdicts[0].where == ("1.conv",)


def test_a_detached_half_has_no_gradient():
    class Cut(nn.Module):
        def forward(self, x):
            return x.detach()

    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), Cut(), nn.Linear(8, 10))
    record = seen(model)
    assert kinds(record) == ["no gradient"]
    assert record.verdicts[0].where == ("1",)


def test_bfloat16_weights_stall_under_everyday_gradients():
    model = residual(Block(), Block()).bfloat16()
    record = step(model, lambda p: torch.optim.SGD(p, lr=1e-3), cast=lambda x: x.bfloat16())
    assert kinds(record) == ["stalled by precision"]
    assert "bfloat16" in record.verdicts[0].says


def test_half_precision_without_a_scaler_underflows():
    model = residual(Block(), Block(), Block()).half()

    def small(output, target):
        return F.cross_entropy(output.float(), target) * 1e-3

    x, y = batch()
    record = gradient_flow(model, (x.half(), y), small)
    assert kinds(record) == ["gradient underflow"]


def test_a_rate_a_hundred_times_too_high_is_told():
    sane, mad = ({"optimizer": lambda p, lr=lr: torch.optim.Adam(p, lr=lr)} for lr in (1e-3, 1e-1))
    assert kinds(seen(residual(Block(), Block()), **sane)) == []
    assert kinds(seen(residual(Block(), Block()), **mad)) == ["step too long"]


def test_infinity_is_named_where_it_begins():
    class Overflow(nn.Module):
        def forward(self, x):
            return x * 1e38 * 1e38

    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), Overflow(), nn.Linear(8, 8), nn.Linear(8, 10))
    record = seen(model)
    assert kinds(record) == ["not finite"]
    assert "the output of 3 holds NaN or infinity" in record.verdicts[0].says


# ---- nothing wrong


HEALTHY = {
    "resnet8": lambda: create("resnet8"),
    "plain8": lambda: create("plain8"),
    "dense8": lambda: create("dense8"),
    "rezero": lambda: residual(*(Block(learned=0.0) for _ in range(4))),
    "layer scale": lambda: residual(*(Block(learned=1e-6) for _ in range(4))),
    "shallow sigmoid": lambda: stack(nn.Sigmoid, depth=1),
    "tanh": lambda: stack(nn.Tanh, depth=4),
    "batch norm, 12 layers": lambda: stack(nn.ReLU, depth=12, norm=True),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_network_is_left_alone(name):
    record = seen(HEALTHY[name](), optimizer=lambda p: torch.optim.Adam(p, lr=1e-3))
    assert kinds(record) == []
    assert record.verdicts[0].kind == "healthy"


def test_zero_gamma_and_a_head_of_zero_are_no_ills():
    model = residual(Block(), Block())
    for block in model[1:3]:
        nn.init.zeros_(block.norm.weight)
    assert kinds(seen(model)) == []
    nn.init.zeros_(model[-1].weight)
    assert kinds(seen(model)) == []


def test_half_precision_with_a_scaler_is_healthy():
    model = residual(Block(), Block(), Block()).half()
    x, y = batch()
    record = gradient_flow(model, (x.half(), y), lambda o, t: F.cross_entropy(o.float(), t) * 2**12)
    assert kinds(record) == []


def test_a_branch_dropped_by_chance_is_no_dead_one():
    skip = SkipFlow(
        0, "identity", "add", "a", "b", ratio=0.0, zero=1.0, shortcut_grad=1.0, branch_grad=0.0, learns=False
    )
    layers = tuple(LayerFlow(f"l{k}", "conv", 1.0, 1.0, output_grad_norm=1.0) for k in range(4))
    assert kinds(FlowRecord(0, 0, layers, (skip,))) == []


def test_each_threshold_has_its_source_and_each_ill_its_advice():
    from skipstone.runs.flow.verdicts import ADVICE

    assert all(threshold.source for threshold in THRESHOLDS.values())
    assert set(THRESHOLDS) - {"straight"} <= set(ADVICE)
