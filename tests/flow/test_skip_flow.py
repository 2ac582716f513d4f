"""What each skip contributes, against plain autograd on the same network and batch."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.flow import additions, gradient_flow
from skipstone.flow.reuse import gradient_shares, weight_shares
from skipstone.runs.flow import FlowRecord


class Block(nn.Module):
    def __init__(self, width=6, scale=1.0, project=False, inplace=False):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)
        self.short = nn.Conv2d(width, width, 1) if project else nn.Identity()
        self.scale, self.inplace = scale, inplace

    def forward(self, x):
        out = torch.relu(self.conv(x)) * self.scale
        if self.inplace:
            out += self.short(x)
            return F.relu(out, inplace=True)
        return out + self.short(x)


def network(**options) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 1), Block(**options), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))


def batch(n=5):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, 7, 7, generator=generator), torch.arange(n) % 4


def flow_of(model, **options) -> FlowRecord:
    return gradient_flow(model, batch(), skips=True, **options)


@pytest.mark.parametrize("options", [{}, {"project": True}, {"inplace": True}, {"project": True, "inplace": True}])
def test_every_number_equals_autograds(options):
    model, (x, y) = network(**options), batch()
    (skip,) = flow_of(model).skips
    block = model[1]
    source = model[0](x)
    branch, stream = torch.relu(block.conv(source)), block.short(source)
    total = branch + stream
    behind = F.relu(total) if options.get("inplace") else total
    loss = F.cross_entropy(model[4](model[3](model[2](behind))), y)
    (at_sum,) = torch.autograd.grad(loss, total, retain_graph=True)
    (s,) = torch.autograd.grad(stream, source, at_sum, retain_graph=True)
    (b,) = torch.autograd.grad(branch, source, at_sum, retain_graph=True)
    (whole,) = torch.autograd.grad(loss, source)
    assert torch.allclose(s + b, whole, atol=1e-9)
    near = lambda value: pytest.approx(float(value.detach()), rel=1e-4)  # noqa: E731
    assert skip.ratio == near(branch.norm() / stream.norm())
    assert skip.cosine == near(F.cosine_similarity(branch.flatten(), stream.flatten(), 0))
    assert skip.variance_share == near(branch.var() / (branch.var() + stream.var()))
    assert skip.zero == near((branch == 0).float().mean())
    assert (skip.shortcut_grad, skip.branch_grad) == (near(s.norm()), near(b.norm()))
    assert skip.grad_share == near((s * whole).sum() / whole.square().sum())
    assert skip.grad_cosine == near(F.cosine_similarity(b.flatten(), s.flatten(), 0))
    assert skip.layers == ("1.conv.weight", "1.conv.bias")


def test_the_measured_network_is_left_as_it_was():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = batch()[0]
    flow_of(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not x.requires_grad
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_layers_are_the_same_with_the_skips_and_without():
    model = network(project=True)
    assert flow_of(model).layers == gradient_flow(model, batch()).layers


def test_a_skip_that_spans_others_changes_none_of_their_numbers():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = Block(), Block()

        def forward(self, x):
            return x + self.second(self.first(x))

    torch.manual_seed(0)
    model = network()
    model[1] = Outer()
    record = flow_of(model)
    x, y = batch()
    source = model[0](x)
    inner = model[1].first(source)
    middle = torch.relu(model[1].second.conv(inner)) + inner
    loss = F.cross_entropy(model[4](model[3](model[2](source + middle))), y)
    (at_middle,) = torch.autograd.grad(loss, middle)
    assert record.skips[1].shortcut_grad == pytest.approx(float(at_middle.norm()), rel=1e-4)
    assert [skip.note for skip in record.skips] == ["", "", ""]


def test_a_shortcut_that_is_detached_brings_nothing_back():
    class Cut(Block):
        def forward(self, x):
            return torch.relu(self.conv(x)) + x.detach()

    model = network()
    model[1] = Cut()
    (skip,) = flow_of(model).skips
    assert skip.shortcut_grad == 0
    assert skip.branch_grad > 0
    assert [verdict.kind for verdict in flow_of(model).verdicts] == ["shortcut blocked"]


def test_a_skip_from_the_networks_input_is_measured():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            return x + self.fc(x)

    (skip,) = gradient_flow(Whole(), (torch.randn(3, 4), torch.randn(3, 4)), F.mse_loss, skips=True).skips
    assert skip.grad_share > 0
    assert skip.note == ""


def test_what_cannot_be_followed_is_said():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            h = self.fc(x)
            return torch.maximum(h, self.fc(h))

    record = gradient_flow(Product(), (torch.randn(3, 4), torch.randn(3, 4)), F.mse_loss, skips=True)
    assert all(skip.note for skip in record.skips)


def test_layer_scale_is_dead_in_bfloat16_and_not_in_float32():
    """C11: |F| <= 2**-9 |x| changes nothing in bfloat16; at a ratio of 1e-3 float32 loses next to nothing."""
    model = network(scale=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        (skip,) = gradient_flow(model, batch(), lambda o, t: F.cross_entropy(o.float(), t), skips=True).skips
    assert skip.dtype == "bfloat16"
    assert skip.dead == pytest.approx(1 - skip.zero, abs=1e-3)  # all that is not zero to begin with
    (skip,) = flow_of(network(scale=1e-3)).skips
    assert skip.dead < 1e-3


@pytest.mark.parametrize(("ratio", "low", "high"), [(1.9e-3, 1, 1), (3.9e-3, 0, 0.02)])
def test_dead_adds_in_bfloat16_begin_where_the_sheet_says(ratio, low, high):
    x = torch.randn(20000, generator=torch.Generator().manual_seed(0)).bfloat16()
    branch = (x.float() * ratio).bfloat16()
    assert low <= float(additions.dead_share(branch, x, x + branch)) <= high


def test_normalised_branches_have_one_part_in_l_plus_one():
    """C7: variance share 1/(l+1) at block l, to 5 %."""

    class Normed(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.fc, self.norm = nn.Linear(n, n), nn.BatchNorm1d(n)

        def forward(self, x):
            return x + self.norm(self.fc(torch.relu(x)))

    torch.manual_seed(0)
    model = nn.Sequential(*(Normed(64) for _ in range(20)))
    data = torch.randn(256, 64), torch.randn(256, 64)
    skips = gradient_flow(model, data, F.mse_loss, skips=True).skips
    for block in (1, 2, 5, 10, 20):
        assert skips[block - 1].variance_share == pytest.approx(1 / (block + 1), rel=0.05)


@pytest.mark.slow
def test_normalised_branches_at_the_hundredth_block_and_unnormalised_ones():
    """C7: .0194 at block 50, .0099 at 100, to 5 %; without norm 1/2 at every block."""

    class Branch(nn.Module):
        def __init__(self, n, norm):
            super().__init__()
            self.fc = nn.Linear(n, n, bias=False)
            self.norm = nn.BatchNorm1d(n) if norm else nn.Identity()
            nn.init.normal_(self.fc.weight, std=(2 / n) ** 0.5)

        def forward(self, x):
            return x + self.norm(self.fc(torch.relu(x)))

    torch.manual_seed(0)
    data = torch.randn(256, 64), torch.randn(256, 64)
    model = nn.Sequential(*(Branch(64, norm=True) for _ in range(100)))
    skips = gradient_flow(model, data, F.mse_loss, skips=True).skips
    for block in (50, 100):
        assert skips[block - 1].variance_share == pytest.approx(1 / (block + 1), rel=0.05)
    model = nn.Sequential(*(Branch(64, norm=False) for _ in range(10)))
    shares = [skip.variance_share for skip in gradient_flow(model, data, F.mse_loss, skips=True).skips]
    assert all(0.35 < share < 0.65 for share in shares)  # one network of width 64: single blocks scatter
    assert sum(shares) / 10 == pytest.approx(0.5, rel=0.05)


class Scaled(nn.Module):
    """x + α W2 relu(W1 x), W1 He, Var W2 = 1/n."""

    def __init__(self, n, alpha):
        super().__init__()
        self.one, self.two, self.alpha = nn.Linear(n, n, bias=False), nn.Linear(n, n, bias=False), alpha
        nn.init.normal_(self.one.weight, std=(2 / n) ** 0.5)
        nn.init.normal_(self.two.weight, std=n**-0.5)

    def forward(self, x):
        return x + self.alpha * self.two(torch.relu(self.one(x)))


def growth(alpha, blocks, n=256, seeds=5) -> tuple[float, float]:
    """The squared norms' growth over all blocks: of the activation going forward, of the gradient going back."""
    forward, back = [], []
    for seed in range(seeds):
        torch.manual_seed(seed)
        stem = nn.Linear(n, n, bias=False)  # the gradient at its output is that at the first block's input
        model = nn.Sequential(stem, *(Scaled(n, alpha) for _ in range(blocks)))
        x, target = torch.randn(16, n), torch.randn(16, n)
        record = gradient_flow(model, (x, target), lambda o, t: (o * t).sum())
        back.append((record.layers[0].output_grad_norm / float(target.norm())) ** 2)
        with torch.no_grad():
            forward.append(float(model(x).norm() / stem(x).norm()) ** 2)
    return sum(forward) / seeds, sum(back) / seeds


def test_gradients_grow_through_residual_blocks_as_one_plus_alpha_squared():
    """C3: E‖g_0‖² / ‖g_L‖² = (1 + α²)**L; α = 0: exactly 1."""
    assert growth(1.0, 10)[1] == pytest.approx(2**10, rel=0.15)
    assert growth(0.0, 10, seeds=1) == pytest.approx((1, 1), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "blocks"), [(1.0, 10), (50**-0.5, 50), (1 / 50, 50)])
def test_both_ways_grow_alike(alpha, blocks):
    """C3: 1024, 2.692 and 1.02, forward and backward."""
    assert growth(alpha, blocks) == pytest.approx([(1 + alpha**2) ** blocks] * 2, rel=0.15 if alpha == 1 else 0.05)


def test_a_unit_without_incoming_weights_learns_by_a_skip_alone():
    """C10 (Orhan and Pitkow 2018, 1701.09175): its outgoing weights' gradient is exactly 0, and not with a skip."""

    def outgoing(skip):
        torch.manual_seed(0)
        one, two = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        with torch.no_grad():
            one.weight[3] = 0
        x = torch.rand(16, 8)
        hidden = torch.relu(one(x)) + (x if skip else 0)
        two(hidden).square().sum().backward()
        return two.weight.grad[:, 3]

    assert torch.equal(outgoing(skip=False), torch.zeros(8))
    assert outgoing(skip=True).abs().min() > 0


class Dense(nn.Module):
    """Two layers that join what they make to what they read."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(7, 2, 1), nn.Conv2d(9, 5, 1)

    def forward(self, x):
        x = torch.cat([x, self.first(x)], 1)
        x = torch.cat([x, self.second(torch.relu(x))], 1)
        return self.last(x).mean((2, 3))


def test_feature_reuse_of_every_map():
    torch.manual_seed(0)
    model = Dense()
    x = torch.randn(4, 3, 5, 5)
    record = gradient_flow(model, (x, torch.arange(4)), skips=True)
    joined = record.skips[-1].reuse
    assert [(part.source, part.channels) for part in joined] == [("input0", 3), ("first", 4), ("second", 2)]
    weight = model.last.weight.detach().abs()
    means = [float(weight[:, a:b].mean()) for a, b in ((0, 3), (3, 7), (7, 9))]
    assert [part.weight_share for part in joined] == [pytest.approx(mean / sum(means)) for mean in means]
    assert sum(part.grad_share for part in joined) == pytest.approx(1)


def test_reuse_of_slices():
    weight = torch.tensor([[1.0, 1.0, 4.0], [-1.0, -1.0, -4.0]])
    assert weight_shares(weight, [2, 1]) == [pytest.approx(0.2), pytest.approx(0.8)]
    assert gradient_shares(weight, [2, 1]) == [pytest.approx(1 / 17), pytest.approx(16 / 17)]
    assert weight_shares(torch.zeros(2, 3), [2, 1]) is None
