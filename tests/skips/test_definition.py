"""What counts as a skip, where it starts, and what only looks like one: docs/design/skips.md, line by line."""

import operator
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.skips import find_skips

IMAGE = (2, 8, 16, 16)


class Net(nn.Module):
    """A function of the network and its inputs; `layers` by name."""

    def __init__(self, function: Callable, **layers: nn.Module | nn.Parameter | torch.Tensor) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            if isinstance(layer, torch.Tensor) and not isinstance(layer, nn.Parameter):
                self.register_buffer(name, layer)
            else:
                setattr(self, name, layer)

    def forward(self, *args):
        return self.function(self, *args)


def conv(c_in: int = 8, c_out: int = 8, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)


def found(function: Callable, example: object = IMAGE, **layers) -> list[str]:
    """`kind merge` of what is found but the trivial."""
    skips = find_skips(Net(function, **(layers or {name: conv() for name in "abcd"})).eval(), example)
    return [f"{skip.kind} {skip.merge}" for skip in skips if skip.kind != "trivial"]


# ---- where a skip starts: side inputs do not matter


def test_a_branch_with_a_second_input_has_its_projection() -> None:
    layers = {"a": conv(8, 16), "b": conv(16, 16), "short": conv(8, 16, 1), "time": nn.Linear(4, 16)}

    def block(m, x, t):
        return m.short(x) + m.b(F.relu(m.a(x)) + m.time(t)[:, :, None, None])

    assert found(block, (torch.randn(IMAGE), torch.randn(2, 4)), **layers) == ["projection add"]
    assert found(lambda m, x: block(m, x, torch.ones(2, 4)), **layers) == ["projection add"]


def test_a_block_behind_another_with_the_same_second_input() -> None:
    layers = {"a": conv(), "b": conv(), "time": nn.Linear(4, 8)}

    def two_blocks(m, x, t):
        for layer in (m.a, m.b):
            x = x + layer(F.relu(x) + m.time(t)[:, :, None, None])
        return x

    got = found(two_blocks, (torch.randn(IMAGE), torch.randn(2, 4)), **layers)
    assert got == ["identity add", "conditioning add", "identity add"]  # the second block's stream has seen the time


MASKED = {
    "fill, identity": (lambda m, x, keep: x.masked_fill(~keep, 0) + m.b(F.relu(m.a(x))), "identity add"),
    "fill, projection": (
        lambda m, x, keep: m.c(x.masked_fill(~keep, 0)) + m.b(F.relu(m.a(x.masked_fill(~keep, 0)))),
        "projection add",
    ),
    "times, identity": (lambda m, x, keep: x * keep + m.b(F.relu(m.a(x))), "identity add"),
    "times, projection": (lambda m, x, keep: m.c(x * keep) + m.b(F.relu(m.a(x * keep))), "projection add"),
    "the sum": (lambda m, x, keep: (x + m.b(F.relu(m.a(x * keep)))) * keep, "identity add"),
}


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("as_input", [True, False])
def test_a_mask_on_the_shortcut(name: str, as_input: bool) -> None:
    function, kind = MASKED[name]
    layers = {"a": nn.Conv1d(4, 4, 3, padding=1), "b": nn.Conv1d(4, 4, 3, padding=1), "c": nn.Conv1d(4, 4, 1)}

    def masked(m, x, lengths):
        return function(m, x, (torch.arange(x.shape[-1]) < lengths[:, None])[:, None])

    lengths = torch.tensor([8, 5])
    x = torch.randn(2, 4, 8)
    got = found(masked, (x, lengths), **layers) if as_input else found(lambda m, x: masked(m, x, lengths), x, **layers)
    assert got == [kind]


# ---- what is no operand


LENT = {
    "type_as": lambda m, x, y: y + m.mean.type_as(x),
    "to": lambda m, x, y: y + m.mean.to(x),
    "expand_as": lambda m, x, y: y + m.mean.expand_as(x),
    "view_as": lambda m, x, y: y + m.full.reshape(-1).view_as(x),
    "reshape_as": lambda m, x, y: y + m.full.reshape(-1).reshape_as(x),
    "new_tensor": lambda m, x, y: y + x.new_tensor([1.0] * 8).view(1, 8, 1, 1),
    "zeros_like": lambda m, x, y: y + torch.zeros_like(x),
    "randn_like": lambda m, x, y: y + torch.randn_like(x) * 0.1,
    "new": lambda m, x, y: y + x.new(x.shape).normal_(),
    "randint_like": lambda m, x, y: y + torch.randint_like(x, 0, 2),
}


@pytest.mark.parametrize("name", LENT)
def test_what_lends_its_shape_or_dtype_is_no_operand(name: str) -> None:
    tables = {"mean": torch.rand(1, 8, 1, 1), "full": torch.rand(IMAGE)}
    assert found(lambda m, x: LENT[name](m, x, m.b(m.a(x))), a=conv(), b=conv(), **tables) == []
    assert found(lambda m, x: m.b(m.a(x)) + x.type_as(m.mean), a=conv(), b=conv(), **tables) == ["identity add"]


ESTIMATORS = {
    "x + (q - x).detach()": lambda x, q: x + (q - x).detach(),
    "q.detach() + x - x.detach()": lambda x, q: q.detach() + x - x.detach(),
    "x - (x - q).detach()": lambda x, q: x - (x - q).detach(),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_straight_through_estimator_passes_no_value(name: str) -> None:
    estimate = ESTIMATORS[name]
    layers = {"a": nn.Linear(8, 8), "code": nn.Embedding(16, 8), "b": nn.Linear(8, 8), "c": nn.Linear(8, 8)}

    def quantised(m, x):
        z = m.a(x)
        return m.c(estimate(z, m.code(torch.cdist(z, m.code.weight).argmin(-1))))

    assert found(quantised, (4, 8), **layers) == []
    assert found(lambda m, x: m.c(estimate(z := m.a(x), m.b(z))), (4, 8), **layers) == []
    assert found(lambda m, x: m.c((z := m.a(x)) + (m.b(z) - x).detach()), (4, 8), **layers) != []


def test_a_stack_of_outputs_is_no_skip() -> None:
    def hourglass(m, x, join):
        first = m.head(x)
        second = m.head(F.relu(m.b(x + m.back(first))))
        return join(first, second)

    layers = {"head": conv(8, 2, 1), "back": conv(2, 8, 1), "b": conv()}
    stacked = found(lambda m, x: hourglass(m, x, lambda p, q: torch.stack([p, q], 1)), **layers)
    assert stacked == ["identity add", "parallel cat"]
    assert found(lambda m, x: hourglass(m, x, lambda p, q: (p, q)), **layers) == ["identity add"]


# ---- conditioning


def test_a_conditional_norm_is_conditioning_and_the_block_a_skip() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.a, self.b = nn.BatchNorm2d(8, affine=False), conv(), conv()
            self.gain, self.bias = nn.Linear(16, 8), nn.Linear(16, 8)

        def forward(self, x, z):
            y = self.norm(x) * (1 + self.gain(z))[..., None, None] + self.bias(z)[..., None, None]
            return F.interpolate(x, scale_factor=2) + self.b(F.interpolate(self.a(F.relu(y)), scale_factor=2))

    def generator(m, z):
        x = m.stem(z).view(-1, 8, 4, 4)
        return m.second(m.first(x, z), z)

    got = found(generator, (2, 16), stem=nn.Linear(16, 128), first=Block(), second=Block())
    assert got == ["gate mul", "conditioning add", "resample add"] * 2


def test_positions_given_as_an_input_are_conditioning() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.norm = nn.MultiheadAttention(16, 2, batch_first=True), nn.LayerNorm(16)

        def forward(self, x, positions):
            query = x + positions
            return self.norm(x + self.attention(query, query, x)[0])

    def encoder(m, x, positions):
        return m.b(m.a(x, positions), positions)

    example = (torch.randn(2, 5, 16), torch.randn(2, 5, 16))
    got = found(encoder, example, a=Layer(), b=Layer())
    assert got == ["identity add", "conditioning add", "identity add"]


def test_an_input_that_layers_read_is_a_skip_all_the_same() -> None:
    assert found(lambda m, x: x + m.b(F.relu(m.a(x) + x))) == ["identity add", "identity add"]


@pytest.mark.parametrize("axes", [(1,), (2, 3), (1, 2, 3), None])
def test_a_mean_given_back_is_conditioning(axes) -> None:
    def normalised(m, x):
        x = m.stem(x)
        mean = x.mean() if axes is None else x.mean(axes, keepdim=True)
        return m.b(F.relu(m.a(x - mean))) + mean.detach()

    assert found(normalised, stem=conv(), a=conv(), b=conv()) == ["conditioning add"]
    assert found(lambda m, x: (y := m.a(x)[:, :1]) + m.b(F.relu(m.c(y.expand_as(x))))) == ["identity add"]


# ---- gates


def test_behind_an_attention_gate_the_encoders_map_is_the_shortcut() -> None:
    layers = {
        "enc": conv(3), "down": conv(stride=2), "up": conv(), "wg": conv(8, 4, 1), "wx": conv(8, 4, 1),
        "psi": conv(4, 1, 1),
    }  # fmt: skip

    def gated(m, x):
        e = F.relu(m.enc(x))
        d = F.relu(m.up(F.interpolate(F.relu(m.down(e)), scale_factor=2)))
        return torch.cat((e * torch.sigmoid(m.psi(F.relu(m.wg(d) + m.wx(e)))), d), 1)

    (skip,) = (skip for skip in find_skips(Net(gated, **layers), (1, 3, 16, 16)) if skip.is_block_skip)
    assert (skip.kind, skip.merge) == ("identity", "cat")
    assert list(skip.shortcut_ops) == ["mul"]


def test_an_input_that_only_gates_the_state_is_no_start() -> None:
    def cell(m, x, h):
        h = torch.tanh(h)
        reset = torch.sigmoid(m.a(torch.cat([h, x], 1)))
        return m.b(torch.cat([reset * h, x], 1))

    layers = {"a": conv(16, 8), "b": conv(16, 8)}
    assert found(cell, (torch.randn(IMAGE), torch.randn(IMAGE)), **layers) == ["gate mul"]


def test_a_carry_gate_passes_the_identity() -> None:
    def highway(m, x):
        gate = torch.sigmoid(m.a(x))
        return gate * F.relu(m.b(x)) + (1 - gate) * x

    assert found(highway) == ["gate mul", "gate mul", "identity add"]


def test_weighted_branches_with_layers_stay_parallel() -> None:
    def selective(m, x):
        weights = torch.softmax(m.c(x), 1)
        return weights * m.a(x) + (1 - weights) * m.b(x)

    assert "parallel add" in found(selective)


# ---- shortcuts by other means


SHORTCUTS = {
    "zeros joined": lambda m, x: torch.cat([y := F.avg_pool2d(x, 1, 2), torch.zeros_like(y)], 1),
    "zeros joined, cut": lambda m, x: torch.cat([(y := F.avg_pool2d(x, 1, 2)).data, torch.zeros_like(y)], 1),
    "pooled with its indices": lambda m, x: F.pad(F.max_pool2d(x, 2, return_indices=True)[0], (0, 0, 0, 0, 0, 8)),
    "padded": lambda m, x: F.pad(F.avg_pool2d(x, 1, 2), (0, 0, 0, 0, 0, 8)),
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_option_a(name: str) -> None:
    short = SHORTCUTS[name]
    layers = {"a": conv(8, 16, 3, 2), "b": conv(16, 16)}
    assert found(lambda m, x: m.b(F.relu(m.a(x))) + short(m, x), **layers) == ["resample add"]


SELECTED = {
    "gather": lambda x, i: x.gather(1, i[None, :, None].expand(len(x), -1, x.shape[2])),
    "take_along_dim": lambda x, i: x.take_along_dim(i[None, :, None], 1),
    "index_select": lambda x, i: x.index_select(1, i),
    "an index": lambda x, i: x[:, i],
}


@pytest.mark.parametrize("name", SELECTED)
@pytest.mark.parametrize("scored", [True, False])
def test_selected_tokens(name: str, scored: bool) -> None:
    def prune(m, x):
        index = m.score(x).mean((0, 2)).topk(3)[1] if scored else torch.arange(0, 6, 2)
        return SELECTED[name](x, index) + F.relu(m.b(x))[:, ::2]

    assert found(prune, (2, 6, 8), b=nn.Linear(8, 8), score=nn.Linear(8, 1)) == ["resample add"]


@pytest.mark.parametrize("pool", [nn.Identity(), nn.AvgPool2d(1), nn.AvgPool2d(3, 1, 1)])
def test_a_projection_behind_a_pool_that_keeps_the_size(pool: nn.Module) -> None:
    layers = {"a": conv(8, 4, 1), "b": conv(4, 4), "c": conv(4, 16, 1), "pool": pool, "short": conv(8, 16, 1)}
    assert found(lambda m, x: m.c(m.b(F.relu(m.a(x)))) + m.short(m.pool(x)), **layers) == ["projection add"]


@pytest.mark.parametrize("how", ["view", "groups"])
def test_a_projection_behind_a_blur(how: str) -> None:
    kernel = torch.ones(1, 1, 3, 3) / 9

    def blur(m, x):
        n, c, h, w = x.shape
        if how == "groups":
            return F.conv2d(x, m.k.expand(c, 1, 3, 3), padding=1, groups=c)
        return F.conv2d(x.reshape(n * c, 1, h, w), m.k, padding=1).reshape(n, c, h, w)

    layers = {"a": conv(), "b": conv(8, 16, 3, 2), "short": nn.Conv2d(8, 16, 1, 2), "k": kernel}
    assert found(lambda m, x: m.b(blur(m, F.relu(m.a(x)))) + m.short(blur(m, x)), **layers) == ["projection add"]


def test_learned_queries_from_their_first_attention_to_the_input() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own, self.cross = (nn.MultiheadAttention(16, 2, batch_first=True) for _ in range(2))
            self.norm1, self.norm2, self.mlp = nn.LayerNorm(16), nn.LayerNorm(16), nn.Linear(16, 16)

        def forward(self, q, memory):
            q = self.norm1(q + self.own(q, q, q)[0])
            q = self.norm2(q + self.cross(q, memory, memory)[0])
            return q + self.mlp(q)

    def decoder(m, memory):
        return m.b(m.a(m.queries.expand(len(memory), -1, -1), memory), memory)

    got = found(decoder, (2, 7, 16), queries=nn.Parameter(torch.randn(1, 5, 16)), a=Layer(), b=Layer())
    assert got == ["identity add"] * 5  # the first self-attention reads no input: its sum is no skip of the network


def test_a_branch_without_weights_that_mixes_places() -> None:
    def channel_attention(m, x):
        x = m.stem(x)
        flat = x.flatten(2)
        return m.out(x + m.scale * ((flat @ flat.transpose(1, 2)).softmax(-1) @ flat).view_as(x))

    layers = {"stem": conv(), "out": conv(), "scale": nn.Parameter(torch.zeros(1))}
    assert found(channel_attention, **layers) == ["identity add"]
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])

    def messages(m, x):
        x = m.stem(x)
        return m.out(x + torch.zeros_like(x).index_add(0, edges[1], x[edges[0]]))

    assert found(messages, (3, 4), stem=nn.Linear(4, 4), out=nn.Linear(4, 4)) == ["identity add"]


# ---- streams


def test_hyper_connections_count_once_a_block() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.read, self.write = (nn.Parameter(torch.ones(s) / 4) for s in ((4, 4), (4,), (4,)))
            self.norm, self.f = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8))

        def forward(self, h):
            y = self.f(self.norm(torch.einsum("s,sbtc->btc", self.read, h)))
            return torch.einsum("rs,sbtc->rbtc", self.mix, h) + torch.einsum("s,btc->sbtc", self.write, y)

    def streams(m, x):
        return m.b(m.a(m.stem(x).expand(4, *x.shape))).sum(0)

    assert found(streams, (2, 5, 8), stem=nn.Linear(8, 8), a=Block(), b=Block()) == ["projection add"] * 2


def test_a_product_over_tokens_is_no_mixing_of_streams() -> None:
    mix = nn.Parameter(torch.eye(5))
    layers = {"mix": mix, "a": nn.Linear(8, 8), "b": nn.Linear(8, 8), "c": nn.Linear(8, 8)}
    got = found(lambda m, x: torch.einsum("rs,bsc->brc", m.mix, x) + m.c(m.b(m.a(x))), (2, 5, 8), **layers)
    assert got == ["parallel add"]


def test_reversible_couplings_count_each_stream() -> None:
    def coupling(m, x):
        first, second = x.chunk(2, 1)
        first = first + m.a(F.relu(second))
        second = second + m.b(F.relu(first))
        return torch.cat([first, second], 1)

    halves = {"a": conv(4, 4), "b": conv(4, 4)}
    assert found(coupling, **halves) == ["identity add", "identity add", "parallel cat"]


def test_rows_gathered_by_an_index_are_no_slices_apart() -> None:
    """As in PointNet++: features and places go different ways, both by index, and meet again."""

    def propagate(m, x, index):
        places = x[:, ::2]
        features = m.a(x[:, index] - places)
        lower = m.c(F.relu(m.b(torch.cat([features[:, index[:2]], x[:, index[:2]]], -1))))
        return torch.cat([features, lower.mean(1, keepdim=True).expand_as(features)], -1)

    layers = {"a": nn.Linear(3, 8), "b": nn.Linear(11, 8), "c": nn.Linear(8, 8)}
    example = (torch.randn(2, 8, 3), torch.tensor([0, 1, 2, 5]))
    assert found(propagate, example, **layers)[-1] == "identity cat"


def test_slices_that_only_feed_the_next_layer_stay_parallel() -> None:
    def res2net(m, x):
        first, second = x.chunk(2, 1)
        first = m.a(first)
        return torch.cat([first, m.b(first + second)], 1)

    assert "identity add" not in found(res2net, a=conv(4, 4), b=conv(4, 4))


# ---- bridges


class Unit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(), conv()

    def forward(self, x):
        return F.relu(self.a(x) + self.b(F.relu(self.a(x))))


BRIDGES = {
    "bare": (nn.Identity(), "identity cat"),
    "1x1": (conv(8, 8, 1), "projection cat"),
    "1x1, norm, relu": (nn.Sequential(conv(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU()), "bridge cat"),
    "two layers": (nn.Sequential(conv(), nn.ReLU(), conv()), "bridge cat"),
    "four layers": (nn.Sequential(*(conv() for _ in range(4))), "parallel cat"),
}


@pytest.mark.parametrize("name", BRIDGES)
def test_layers_on_a_long_skip(name: str) -> None:
    unit, kind = BRIDGES[name]
    layers = {"enc": conv(3), "down": conv(stride=2), "m": conv(), "n": conv(), "unit": unit}

    def u(m, x):
        e = F.relu(m.enc(x))
        low = F.relu(m.n(F.relu(m.m(F.relu(m.down(e))))))
        return torch.cat((F.interpolate(low, scale_factor=2), m.unit(e)), 1)

    assert kind in found(u, (2, 3, 16, 16), **layers)


@pytest.mark.parametrize(("units", "kind"), [(0, "projection cat"), (1, "bridge cat"), (2, "bridge cat")])
def test_deconvolutions_on_a_long_skip(units: int, kind: str) -> None:
    """UNETR's: from a small map up to the decoder's size, a deconvolution and a unit of two layers at each step."""

    def up(wide: bool = False) -> nn.Sequential:
        deconvolution = nn.ConvTranspose2d(8, 8, 2, 2)
        return nn.Sequential(deconvolution, conv(), nn.ReLU(), conv(), nn.ReLU()) if wide else deconvolution

    crossing = nn.Sequential(up(), *(up(wide=True) for _ in range(units)))
    decoder = nn.Sequential(*(up(wide=True) for _ in range(units + 1)))
    layers = {"stem": conv(3), "a": conv(), "b": conv(), "crossing": crossing, "decoder": decoder}

    def u(m, x):
        low = m.stem(x)
        return torch.cat((m.decoder(m.b(F.relu(m.a(low)))), m.crossing(low)), 1)

    assert found(u, (2, 3, 4, 4), **layers) == [kind]


def test_branches_at_one_size_are_no_bridge() -> None:
    assert found(lambda m, x: torch.cat((F.relu(m.a(x)), m.b(F.relu(m.c(F.relu(m.d(x)))))), 1)) == ["parallel cat"]


# ---- one addition, however it is written


def test_a_gate_that_squeezes_is_no_way_down() -> None:
    """Two branches of layers at one size stay parallel, though one is gated by a pooled map (GhostNet, SCNet)."""
    layers = {name: conv() for name in "abcd"} | {"squeeze": conv()}

    def weigh(m, x):
        return x * torch.sigmoid(F.interpolate(m.squeeze(F.avg_pool2d(x, 4)), scale_factor=4))

    def joined(m, x):
        return torch.cat((m.a(F.relu(m.b(x))), m.d(weigh(m, F.relu(m.c(x))))), 1)

    assert found(joined, **layers) == ["gate mul", "parallel cat"]


def test_a_sum_that_is_squashed_to_a_gate_is_a_score() -> None:
    """Self-calibration (SCNet): `conv(x) * sigmoid(x + up(conv(down(x))))`; a sum that goes on as well is a skip."""

    def calibrated(m, x, keep=False):
        score = x + F.interpolate(m.a(F.avg_pool2d(x, 4)), scale_factor=4)
        y = m.b(x) * torch.sigmoid(score)
        return y - score if keep else y

    assert found(calibrated) == ["score-bias add", "gate mul"]
    assert found(lambda m, x: calibrated(m, x, keep=True))[0] == "identity add"


def test_messages_and_attention_are_two_halves() -> None:
    """GPS (2205.12454): a linear layer on the neighbours' messages is no projection beside attention of all nodes."""
    layers = {"local": nn.Linear(8, 8), "whole": nn.MultiheadAttention(8, 2), "out": nn.Linear(8, 8)}

    def halves(m, x, near=True):
        messages = m.local(x)
        if near:
            messages = torch.zeros(6, 8).index_add(0, torch.arange(6) % 3, messages)
        return m.out(messages + m.whole(x, x, x)[0])

    assert found(halves, (6, 8), **layers) == ["parallel add"]
    assert found(lambda m, x: halves(m, x, near=False), (6, 8), **layers) == ["projection add"]


def test_a_statistic_of_groups_taken_away_is_no_skip() -> None:
    """Softmax over the neighbours of a graph's nodes: the largest of each group is handed back to its members."""
    group = torch.arange(6) % 3

    def centred(m, x, messages=False):
        x = m.a(x)
        if messages:
            return m.a(x + torch.zeros(6, 8).scatter_add(0, group[:, None].expand(6, 8), x.index_select(0, group)))
        largest = torch.zeros(3, 8).scatter_reduce(0, group[:, None].expand(6, 8), x, "amax", include_self=False)
        return m.a(x - largest.index_select(0, group))

    assert found(centred, (6, 8), a=nn.Linear(8, 8)) == []
    assert found(lambda m, x: centred(m, x, messages=True), (6, 8), a=nn.Linear(8, 8)) == ["identity add"]


def _attend(m, q, k, v, spelling):
    if spelling == "module":
        return m.attn(q, k, v)[0]
    q, k, v = m.q(q), m.k(k), m.v(v)
    if spelling == "function":
        return F.scaled_dot_product_attention(q, k, v)
    return (q @ k.transpose(1, 2) / 4).softmax(-1) @ v


@pytest.mark.parametrize("spelling", ["module", "function", "product"])
def test_positions_made_of_the_stream_are_asked_with_alone(spelling: str) -> None:
    """RT-DETR: the box of a query is its position, added to what asks and is asked; the values are the query's own."""
    layers = {name: nn.Linear(8, 8) for name in ("enc", "q", "k", "v", "pos")} | {"box": nn.Linear(8, 4)}
    layers |= {"grow": nn.Linear(4, 8), "attn": nn.MultiheadAttention(8, 2, batch_first=True)}

    def decoder(m, x, summed=False):
        x = m.enc(x)
        asks = x + m.pos(F.relu(m.grow(m.box(x).sigmoid())))
        return x + _attend(m, asks, asks, asks if summed else x, spelling)

    assert found(decoder, (2, 5, 8), **layers) == ["score-bias add", "identity add"]
    assert found(lambda m, x: decoder(m, x, summed=True), (2, 5, 8), **layers)[0] == "identity add"


def test_a_join_to_an_empty_vector() -> None:
    """A cache of keys starts as `torch.tensor([])`, which torch joins to a tensor of any rank."""
    assert found(lambda m, x: x + m.a(torch.cat((torch.tensor([]), x), dim=-2))) == ["identity add"]


def test_a_block_before_a_squashed_answer_is_a_skip() -> None:
    """A discriminator ends in a layer with one output and a sigmoid, as attention gates do, but it gates nothing."""
    layers = {"short": conv(8, 16, 1), "a": conv(8, 16), "b": conv(16, 16), "last": nn.Linear(16 * 256, 1)}

    def answer(m, x):
        return torch.sigmoid(m.last((m.short(x) + m.b(F.relu(m.a(x)))).flatten(1)))

    assert found(answer, **layers) == ["projection add"]


def test_a_projection_may_be_a_unit_like_the_branchs() -> None:
    """SqueezeNext (1803.10615): each of its convolutions, the shortcut's too, has its norm and its ReLU."""
    layers = {"short": nn.Sequential(conv(8, 16, 1), nn.BatchNorm2d(16), nn.ReLU()), "a": conv(), "b": conv(),
              "c": nn.Sequential(conv(8, 16), nn.BatchNorm2d(16), nn.ReLU())}  # fmt: skip
    assert found(lambda m, x: m.short(x) + m.c(m.b(m.a(x))), **layers) == ["projection add"]
    assert found(lambda m, x: m.short(x) + m.c(m.a(x)), **layers) == ["parallel add"]
    assert found(lambda m, x: torch.cat((m.short(x), m.c(m.b(m.a(x)))), 1), **layers) == ["parallel cat"]


class Add(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, gradient):
        return gradient, gradient


SPELLINGS = {
    "x + y": lambda m, x, y: x + y,
    "y += x": lambda m, x, y: y.__iadd__(x),
    "y.add_(x)": lambda m, x, y: y.add_(x),
    "torch.add": lambda m, x, y: torch.add(x, y),
    "alpha": lambda m, x, y: torch.add(x, y, alpha=0.5),
    "operator": lambda m, x, y: operator.add(x, y),
    "sum": lambda m, x, y: sum([x, y]),
    "less its negative": lambda m, x, y: x - (-y),
    "sub of a negative": lambda m, x, y: x.sub(-y),
    "stack, sum": lambda m, x, y: torch.stack([x, y]).sum(0),
    "stack last, sum": lambda m, x, y: torch.stack([x, y], -1).sum(-1),
    "cat of new axes, sum": lambda m, x, y: torch.cat([x[None], y[None]]).sum(0),
    "weighted stack (BiFPN)": lambda m, x, y: (torch.stack([x, y], -1) * m.w.softmax(0)).sum(-1),
    "lerp": lambda m, x, y: torch.lerp(x, y, 0.5),
    "lerp by a weight": lambda m, x, y: torch.lerp(x, y, m.g.sigmoid()),
    "addcmul": lambda m, x, y: torch.addcmul(x, y, m.g),
    "shares": lambda m, x, y: m.g * x + (1 - m.g) * y,
    "einsum": lambda m, x, y: torch.einsum("n,nbchw->bchw", m.w, torch.stack([x, y])),
    "matmul": lambda m, x, y: (m.w[None] @ torch.stack([x, y]).flatten(1)).view_as(x),
    "weighted stack of flat maps": lambda m, x, y: (
        m.w.view(1, 1, 2) @ torch.stack([x, y]).flatten(1).view(2, 1, -1).permute(1, 0, 2)
    ).view_as(x),
    "cat, split by a view, sum": lambda m, x, y: torch.cat([x, y], 1).view(2, 2, 8, 16, 16).sum(1),
    "lists": lambda m, x, y: torch._foreach_add([x], [y])[0],
    "lists, in place": lambda m, x, y: (torch._foreach_add_([y], [x]), y)[1],
    "lists, scaled": lambda m, x, y: torch._foreach_add([x], [y], alpha=0.5)[0],
    "padded by nothing": lambda m, x, y: F.pad(x, (0, 0)) + y,
    "baddbmm": lambda m, x, y: torch.baddbmm(x.flatten(2), torch.eye(8).expand(2, 8, 8), y.flatten(2)).view_as(x),
    "aten": lambda m, x, y: torch.ops.aten.add(x, y),
    "where": lambda m, x, y: x + torch.where(m.mask, y, torch.zeros_like(y)),
    "into a slice": lambda m, x, y: (o := y.clone(), o.__setitem__((slice(None), slice(0, 8)), o[:, :8] + x))[0],
    "index_add": lambda m, x, y: y.index_add(1, torch.arange(8), x),
    "of a view": lambda m, x, y: (y[:, :8].add_(x), y)[1],
    "divided": lambda m, x, y: (x + y) / 2**0.5,
    "complex": lambda m, x, y: (torch.complex(x, x) + torch.complex(y, y)).real,
    "logaddexp": lambda m, x, y: torch.logaddexp(x, y),
    "vmap": lambda m, x, y: torch.vmap(torch.add)(x, y),
    "checkpoint": lambda m, x, y: torch.utils.checkpoint.checkpoint(torch.add, x, y, use_reentrant=False),
    "a function of its own": lambda m, x, y: Add.apply(x, y),
    "broadcast first": lambda m, x, y: operator.add(*torch.broadcast_tensors(x, y)),
    "cumsum": lambda m, x, y: torch.stack([x, y]).cumsum(0)[-1],
}


NO_ADDITIONS = {
    "mean": (lambda m, x, y: torch.stack([x, y]).mean(0), ["identity mean"]),
    "the larger": (lambda m, x, y: torch.maximum(x, y), ["identity max"]),
    "one or the other": (lambda m, x, y: torch.where(m.mask, x, y), []),
    "the length of both": (lambda m, x, y: torch.hypot(x, y), []),
    "a fixed layer over both": (lambda m, x, y: F.conv2d(torch.cat([x, y], 1), m.both), ["identity cat"]),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_spelling_of_addition(name: str) -> None:
    def block(m, x):
        return SPELLINGS[name](m, x, m.b(F.relu(m.a(x))))

    layers = {
        "a": conv(), "b": conv(), "w": nn.Parameter(torch.ones(2)), "g": nn.Parameter(torch.ones(1, 8, 1, 1)),
        "mask": torch.rand(16, 16) > 0.5,
    }  # fmt: skip
    assert found(block, **layers) == ["identity add"]


@pytest.mark.parametrize("name", NO_ADDITIONS)
def test_what_is_no_addition(name: str) -> None:
    function, kinds = NO_ADDITIONS[name]
    both = torch.cat([torch.eye(8), torch.eye(8)], 1)[..., None, None]
    layers = {"a": conv(), "b": conv(), "mask": torch.rand(16, 16) > 0.5, "both": both}
    assert found(lambda m, x: function(m, x, m.b(F.relu(m.a(x)))), **layers) == kinds
