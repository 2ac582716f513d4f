"""Kinds, ends, branches and costs of single skips; what only looks like one."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.core.errors import PartialRecordWarning, SkipstoneError
from skipstone.graphs.ancestry import Ancestry
from skipstone.skips import find, find_skips
from skipstone.tracing import trace

IMAGE = (2, 8, 16, 16)
BYTES = 2 * 8 * 16 * 16 * 4


class Functional(nn.Module):
    def __init__(self, function, **layers) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *args):
        return self.function(self, *args)


def three() -> dict[str, nn.Module]:
    return {name: nn.Conv2d(8, 8, 3, padding=1) for name in "abc"}


def skips(function, example=IMAGE, **layers):
    return find_skips(Functional(function, **(layers or three())), example)


def res2net(m, x):
    first, second, third = x.split([2, 3, 3], 1)
    second = m.a(second)
    third = m.b(second + third)
    return torch.cat([first, second, third], 1)


def dual_path(m, x):
    y = m.b(F.relu(m.a(x)))
    return x[:, :4] + y[:, :4]


# The network, and the kinds of what is found in it.
KINDS = {
    "identity": (lambda m, x: x + m.a(x), ["identity add"]),
    "a stream behind a relu": (lambda m, x: F.relu(m.a(x)) + m.b(F.relu(m.a(x))), ["parallel add"]),
    "projection": (lambda m, x: m.a(x) + m.c(F.relu(m.b(x))), ["projection add"]),
    "pre-activated projection": (
        lambda m, x: m.a(F.relu(F.layer_norm(x, (16,)))) + m.c(F.relu(m.b(F.relu(F.layer_norm(x, (16,)))))),
        ["projection add"],
    ),
    "activated branch": (lambda m, x: F.relu(m.a(x)) + m.c(m.b(x)), ["parallel add"]),
    "resample": (lambda m, x: F.avg_pool2d(x, 2) + F.max_pool2d(m.b(m.a(x)), 2), ["resample add"]),
    "padded channels": (lambda m, x: F.pad(x[:, :4], (0, 0, 0, 0, 2, 2)) + m.a(x), ["resample add"]),
    "gate": (lambda m, x: x * torch.sigmoid(m.a(x.mean((2, 3), keepdim=True))), ["gate mul"]),
    "hand-written activation": (lambda m, x: m.a(x) * torch.sigmoid(m.a.weight.mean() * x), ["gate mul"]),
    "swish": (lambda m, x: x * torch.sigmoid(x), ["trivial mul"]),
    "gelu": (lambda m, x: 0.5 * x * (1 + torch.tanh(x + 0.04 * x**3)), ["trivial add", "trivial mul"]),
    "bias and position": (lambda m, x: m.a(x) + m.b.bias.view(1, 8, 1, 1) + torch.ones(8, 16, 16), []),
    "inception": (lambda m, x: torch.cat([m.a(x), m.b(x), F.max_pool2d(x, 3, 1, 1)], 1), ["parallel cat"]),
    "dense": (lambda m, x: torch.cat([x, m.a(x)], 1), ["identity cat"]),
    "pyramid": (lambda m, x: torch.cat([x, F.max_pool2d(x, 3, 1, 1), F.max_pool2d(x, 5, 1, 2)], 1), ["trivial cat"]),
    "same twice": (lambda m, x: x + x, []),
    "identity taken away": (lambda m, x: F.avg_pool2d(x, 3, 1, 1) - x, ["trivial add"]),
    "identity less branch": (lambda m, x: x - m.a(x), ["identity add"]),
    "stack and sum": (lambda m, x: torch.stack([x, m.a(x)]).sum(0), ["identity add"]),
    "maximum": (lambda m, x: torch.maximum(x, m.a(x)), ["identity max"]),
    "two terms": (lambda m, x: x + m.a(x) + m.b(x), ["identity add", "parallel add"]),
    "a chain of terms": (lambda m, x: x + (y := m.a(x)) + m.b(y), ["identity add", "identity add"]),
    "parallel first": (lambda m, x: m.a(x) + m.b(x) + x, ["parallel add", "identity add"]),
    "dual path": (dual_path, ["resample add"]),
    "shape alone": (lambda m, x: m.a(x) + torch.zeros_like(x) + x.new_ones(1), []),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_kinds(name: str) -> None:
    function, kinds = KINDS[name]
    assert [f"{skip.kind} {skip.merge}" for skip in skips(function)] == kinds


def test_slices_of_one_tensor_are_branches() -> None:
    layers = {"a": nn.Conv2d(3, 3, 3, padding=1), "b": nn.Conv2d(3, 3, 3, padding=1)}
    assert [skip.kind for skip in skips(res2net, **layers)] == ["parallel", "parallel"]


def test_a_token_put_back_is_no_skip() -> None:
    layers = {"a": nn.Linear(16, 16), "b": nn.Linear(16, 16)}
    found = skips(lambda m, x: torch.cat([(y := m.a(x))[:, :1], m.b(y)], dim=1), (2, 5, 16), **layers)
    assert [skip.kind for skip in found] == ["parallel"]
    found = skips(lambda m, x: torch.cat([(y := m.a(x)), m.b(y)], dim=-1), (2, 5, 16), **layers)
    assert [skip.kind for skip in found] == ["identity"]


def test_a_score_bias() -> None:
    def attend(m, x):
        scores = m.q(x) @ m.k(x).transpose(1, 2)
        return x + (scores / 4 + m.bias(x)[:, :, :5]).softmax(-1) @ x

    layers = {name: nn.Linear(16, 16) for name in ("q", "k", "bias")}
    assert [skip.kind for skip in skips(attend, (2, 5, 16), **layers)] == ["score-bias", "identity"]


class Block(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 16, 3, stride, 1), nn.Conv2d(16, 16, 3, 1, 1)
        self.short = nn.Conv2d(8, 16, 1, stride)

    def forward(self, x):
        y = self.conv2(F.relu(self.conv1(x)))
        return y + self.short(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.layers = nn.Conv2d(3, 8, 3, padding=1), nn.ModuleList([Block(2)])

    def forward(self, x):
        return self.layers[0](self.stem(x))


def test_ends_branches_and_place() -> None:
    graph = trace(Net(), (2, 3, 16, 16))
    (skip,) = find_skips(graph)
    assert (skip.kind, skip.source, skip.target, skip.module, skip.span) == (
        "projection",
        "stem",
        "layers.0",
        "layers.0",
        2,
    )
    assert [graph[i].module for i in skip.main] == ["layers.0.conv1", "layers.0", "layers.0.conv2"]
    assert [graph[i].op for i in skip.shortcut] == ["conv2d"]
    assert skip.shortcut_ops == ("conv2d",)
    assert (graph[skip.source_node].module, graph[skip.merge_node].op) == ("stem", "add")
    assert graph[skip.main_operand].module == "layers.0.conv2"
    assert graph[skip.short_operand].module == "layers.0.short"
    assert skip.file == __file__
    assert skip.line == Block.forward.__code__.co_firstlineno + 2
    assert skip.index == 0


def test_the_cost_is_what_is_kept_while_the_branch_runs() -> None:
    (identity,) = skips(lambda m, x: x + m.a(x))
    assert identity.cost == BYTES
    # A projection that runs after the branch keeps its input; one that runs before keeps its own, smaller output.
    small = {"a": nn.Conv2d(8, 8, 3, 2, 1), "b": nn.Conv2d(8, 8, 3, 1, 1), "p": nn.Conv2d(8, 8, 1, 2)}

    def before(m, x):
        short = m.p(x)
        return short + m.b(F.relu(m.a(x)))

    (late,) = skips(lambda m, x: m.b(F.relu(m.a(x))) + m.p(x), **small)
    (early,) = skips(before, **small)
    assert (late.kind, early.kind) == ("projection", "projection")
    assert (late.cost, early.cost) == (BYTES, BYTES // 4)
    (half,) = find_skips(Functional(lambda m, x: x + m.a(x), **three()).half(), IMAGE)
    assert half.cost == BYTES // 2


def test_the_span_counts_layers_on_the_longest_path() -> None:
    def nested(m, x):
        y = m.a(x)
        return x + m.b(y + m.c(y))

    assert [skip.span for skip in skips(nested)] == [1, 3]


class OnlyInTraining(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer(x) if self.training else self.layer(x)


def test_a_mode() -> None:
    model = OnlyInTraining()
    assert [len(find_skips(model, (2, 4), mode=mode)) for mode in (None, "train", "eval")] == [1, 1, 0]
    assert model.training
    with pytest.raises(SkipstoneError, match="mode is 'test', expected 'train' or 'eval'"):
        find_skips(model, (2, 4), mode="test")  # type: ignore[arg-type]
    with pytest.raises(SkipstoneError, match="the graph was recorded already"):
        find_skips(trace(model, (2, 4)), mode="eval")


def test_a_graph_or_a_model() -> None:
    model = Functional(lambda m, x: x + m.a(x), **three())
    assert find_skips(trace(model, IMAGE)) == find_skips(model, IMAGE)


def test_ancestry_against_brute_force() -> None:
    graph = trace(Functional(lambda m, x: x + m.b(F.relu(m.a(x)) * x) + m.c(x), **three()), IMAGE)
    ancestry = Ancestry(graph)

    def paths(target):
        node = graph[target]
        if node.kind == "input":
            return [[target]]
        return [[*path, target] for i in dict.fromkeys(node.inputs) for path in paths(i)]

    for node in graph:
        routes = paths(node.index)
        assert ancestry.active[node.index] == bool(routes)
        for other in graph:
            if routes:
                assert ancestry.leads_to(other.index, node.index) >= any(other.index in path for path in routes)
        if routes and node.kind == "op":
            shared = set.intersection(*map(set, routes)) - {node.index}
            assert ancestry.dominator[node.index] == max(shared)


def test_a_record_that_stops_half_way_gives_what_was_seen_and_says_so() -> None:
    def gives_up(m, x):
        x = x + m.a(x)
        if x.dim() == 4:
            raise KeyError("no more")
        return x + m.b(x)

    with pytest.warns(
        PartialRecordWarning, match=r"partial, stopped at .*test_find.py.*skips behind that are not known"
    ) as said:
        (skip,) = skips(gives_up)
    assert skip.kind == "identity"
    assert said[0].filename == __file__  # the caller's line


def test_a_record_that_ran_out_of_time_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(m, x):
        x = x + m.a(x)
        while True:
            x = m.b(x)

    monkeypatch.setattr(find, "trace", partial(trace, seconds=0.2))
    with pytest.warns(PartialRecordWarning, match="the record is partial, .* 0.2 s"):
        assert len(skips(endless)) == 1
