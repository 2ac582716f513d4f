"""Past a refusal: what torch refused is recorded with the shapes that met, and each bug is recorded once."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skipstone.tracing import trace

IMAGE = (2, 3, 16, 16)


def conv(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, stride, 1), nn.BatchNorm2d(c_out), nn.ReLU())


class Functional(nn.Module):
    """A model of one function, with a few layers for it to use."""

    def __init__(self, function, **layers) -> None:
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *args):
        return self.function(self, *args)


def inplace_operator(m, x):
    y = m.conv(x)
    y += x
    return m.head(y)


def inplace_method(m, x):
    y = m.conv(x)
    y.add_(x)
    return m.head(y)


def set_item(m, x):
    y = m.conv(x).clone()
    y[:, :3] = x[:, :2]
    return m.head(y)


wide = {"conv": conv(3, 8), "head": nn.Conv2d(8, 2, 1)}
# What is wrong, the model, its input, the operation refused, the shapes that met, the result assumed.
ONE_BUG = {
    "channels": (lambda m, x: m.head(m.conv(x) + x), wide, IMAGE, "add", ((2, 8, 16, 16), IMAGE), (2, 8, 16, 16)),
    "channels, the other way": (
        lambda m, x: m.head(x + m.conv(x)),
        wide,
        IMAGE,
        "add",
        (IMAGE, (2, 8, 16, 16)),
        (2, 8, 16, 16),
    ),
    "in place by operator": (inplace_operator, wide, IMAGE, "add", ((2, 8, 16, 16), IMAGE), (2, 8, 16, 16)),
    "in place by method": (inplace_method, wide, IMAGE, "add", ((2, 8, 16, 16), IMAGE), (2, 8, 16, 16)),
    "into a slice": (set_item, wide, IMAGE, "setitem", ((2, 8, 16, 16), (2, 2, 16, 16)), (2, 8, 16, 16)),
    "cat": (
        lambda m, x: m.head(torch.cat([m.conv(x), F.max_pool2d(x, 2)], 1)),
        {"conv": conv(3, 5), "head": nn.Conv2d(8, 2, 1)},
        IMAGE,
        "cat",
        ((2, 5, 16, 16), (2, 3, 8, 8)),
        None,
    ),
    "next conv": (
        lambda m, x: m.head(torch.cat([m.conv(x), x], 1)),
        wide,
        IMAGE,
        "conv2d",
        ((2, 11, 16, 16), (2, 8, 1, 1)),
        (2, 2, 16, 16),
    ),
    "norm": (
        lambda m, x: m.norm(torch.cat([x, x * 2], 1)).relu(),
        {"norm": nn.BatchNorm2d(3)},
        IMAGE,
        "batch_norm",
        ((2, 6, 16, 16), (3,)),
        (2, 6, 16, 16),
    ),
    "linear": (
        lambda m, x: m.linear(m.conv(x).flatten(1)).relu(),
        {"conv": conv(3, 8), "linear": nn.Linear(100, 5)},
        IMAGE,
        "linear",
        ((2, 2048), (5, 100)),
        (2, 5),
    ),
    "view": (
        lambda m, x: m.linear(x.view(2, 100)),
        {"linear": nn.Linear(100, 5)},
        IMAGE,
        "view",
        (IMAGE, (2, 100)),
        (2, 100),
    ),
    "matmul": (lambda m, x: (x @ x[:, :, :5]).relu(), {}, IMAGE, "matmul", (IMAGE, (2, 3, 5, 16)), None),
    "einsum": (
        lambda m, x: torch.einsum("bchw,dc->bdhw", x, m.weight).relu(),
        {"weight": nn.Parameter(torch.ones(7, 4))},
        IMAGE,
        "einsum",
        (IMAGE, (7, 4)),
        (2, 7, 16, 16),
    ),
    "pixel shuffle": (lambda m, x: F.pixel_shuffle(x, 2).relu(), {}, IMAGE, "pixel_shuffle", (IMAGE,), (2, 1, 32, 32)),
    "pooled away": (lambda m, x: F.max_pool2d(x, 32).relu(), {}, IMAGE, "max_pool2d", (IMAGE,), (2, 3, 1, 1)),
    "gru": (
        lambda m, x: m.rnn(x)[0].relu(),
        {"rnn": nn.GRU(8, 4, batch_first=True)},
        (2, 5, 16),
        "gru",
        ((2, 5, 16), (12, 8)),
        (2, 5, 4),
    ),
    "lstm": (
        lambda m, x: m.rnn(x)[0].relu(),
        {"rnn": nn.LSTM(8, 4, 2, bidirectional=True)},
        (2, 5, 16),
        "lstm",
        ((2, 5, 16), (16, 8)),
        (2, 5, 8),
    ),
    "attention": (
        lambda m, x: m.attention(x, x, x)[0].relu(),
        {"attention": nn.MultiheadAttention(8, 2)},
        (2, 5, 16),
        "multi_head_attention_forward",
        None,
        None,
    ),
    "norm of the wrong rank": (
        lambda m, x: m.norm(x.flatten(1)).relu(),
        {"norm": nn.BatchNorm2d(3)},
        IMAGE,
        "batch_norm",
        ((2, 768), (3,)),
        (2, 768),
    ),
    "one value a channel": (
        lambda m, x: m.norm(x.mean((2, 3), keepdim=True)[:1]),
        {"norm": nn.BatchNorm2d(3)},
        IMAGE,
        "batch_norm",
        None,
        (1, 3, 1, 1),
    ),
    "loss": (
        lambda m, x: F.cross_entropy(x.flatten(1), x[:1, 0, 0, 0].long()) * 2,
        {},
        IMAGE,
        "cross_entropy",
        None,
        (),
    ),
}


@pytest.mark.parametrize("name", ONE_BUG)
def test_one_bug_is_one_failure(name: str) -> None:
    function, layers, example, op, operands, assumed = ONE_BUG[name]
    graph = trace(Functional(function, **layers).train(), example)
    assert graph.stopped is None
    (failed, *rest) = graph.failures
    assert {node.failure for node in rest} <= {failed.failure}  # an operation with several results has a node for each
    assert failed.op == op
    assert failed.failure.message
    assert "\n" not in failed.failure.message
    assert operands is None or failed.failure.operands == operands
    assert assumed is None or failed.shape == assumed
    assert not failed.tainted
    after = [node for node in graph if node.kind == "op" and node.index > rest[-1].index] if rest else [
        node for node in graph if node.kind == "op" and node.index > failed.index
    ]  # fmt: skip
    assert all(node.tainted for node in after)
    assert graph.outputs


def test_a_failed_inplace_operation_still_overwrites() -> None:
    graph = trace(Functional(inplace_method, **wide), IMAGE)
    (failed,) = graph.failures
    assert graph[failed.overwrites].op == "relu"
    head = next(node for node in graph if node.op == "conv2d" and node.module == "head")
    assert head.inputs[0] == failed.index
    assert all(parameter.reached for parameter in graph.parameters)


class TwoBugs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = conv(3, 8), conv(8, 16, 2), conv(16, 16), conv(16, 16)
        self.head = nn.Linear(99, 5)

    def forward(self, x):
        x = self.a(x)
        y = self.b(x) + x  # 16 channels at half size against 8
        y = y + self.c(y)
        y = self.d(y) + y
        return self.head(y.mean((2, 3)))  # 16 features for 99


class ThreeBugs(TwoBugs):
    def forward(self, x):
        x = self.a(x)
        y = x + self.b(x)
        z = torch.cat([self.c(y), F.avg_pool2d(y, 3)], 1)  # sizes differ
        return self.head(self.d(z[:, :16]).mean((2, 3)))


def test_independent_bugs_are_each_a_failure() -> None:
    assert [node.op for node in trace(TwoBugs(), IMAGE).failures] == ["add", "linear"]
    assert [node.op for node in trace(ThreeBugs(), IMAGE).failures] == ["add", "cat", "linear"]


def test_the_assumed_shape_is_the_one_behind_which_least_goes_wrong() -> None:
    """The identity is the younger operand here, so that the first guess would break the head too."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = conv(3, 8), conv(3, 16), nn.Conv2d(8, 2, 1)

        def forward(self, x):
            y = self.a(x)
            return self.head(self.b(x) + y * 2) if y.shape[1] == 9 else self.head(y + self.b(x))

    assert [node.op for node in trace(Model(), IMAGE).failures] == ["add"]


class Raises(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.inner = Functional(self.check)

    @staticmethod
    def check(module, x):
        if x.shape[1] != 9:
            raise KeyError(f"nine channels, not {x.shape[1]}")
        return x

    def forward(self, x):
        return self.inner(self.conv(x))


def test_where_it_cannot_go_on_it_says_so() -> None:
    graph = trace(Raises(), IMAGE)
    stop = graph.stopped
    assert (stop.error, stop.module, stop.own) == ("KeyError", "inner", True)
    assert stop.place.function == "Raises.check"
    assert str(stop).startswith("stopped at inner (test_failures.py:")
    assert "nine channels, not 8" in str(stop)
    assert [node.op for node in graph if node.kind == "op"] == ["conv2d"]
    assert not graph.outputs
    assert [call.path for call in graph.calls if not call.completed] == ["", "inner"]


def test_assumed_values_are_noted_with_their_lines() -> None:
    def forward(m, x):
        if x.sum() > 0:
            x = x[: int(x.max())]
        return x[x > 0]

    graph = trace(Functional(forward), (4, 3))
    assert [(a.what, a.place.line - graph[graph.inputs[0]].index) for a in graph.assumptions] == [
        ("took a data-dependent condition as true", forward.__code__.co_firstlineno + 1),
        ("took a data-dependent number as 1", forward.__code__.co_firstlineno + 2),
        ("took a data-dependent mask as all true", forward.__code__.co_firstlineno + 3),
    ]


def test_a_float_input_may_stand_for_token_numbers() -> None:
    graph = trace(nn.Sequential(nn.Embedding(10, 16), nn.Linear(16, 3)), (2, 7))
    assert not graph.failures
    assert graph[graph.outputs[0]].shape == (2, 7, 3)
    assert "indexes an embedding" in graph.assumptions[0].what


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
@pytest.mark.parametrize(
    "move", [lambda x: x.cuda(), lambda x: x.to("cuda:0"), lambda x: x.to(torch.device("cuda"), torch.float64)]
)
def test_a_gpu_named_in_the_code_is_not_needed(move) -> None:
    def forward(m, x):
        return m.linear(move(x).float()) + torch.zeros(3, device="cuda")

    graph = trace(Functional(forward, linear=nn.Linear(3, 3)), (2, 3))
    assert graph.stopped is None
    assert not graph.failures
    assert [assumption.what for assumption in graph.assumptions] == [
        "left on its device what was moved to one this machine lacks"
    ] * 2
