"""What a record says of the backward pass, held against real backward passes: refusals, and parameters reached."""

import itertools

import pytest
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import nn

from skipstone.tracing import trace

# Operations whose result an in-place operation then overwrites: some keep their result for backward, some their input.
MAKERS = {
    "batch_norm": lambda m, x: m.norm(x),
    "conv": lambda m, x: m.conv(x),
    "relu": lambda m, x: F.relu(x),
    "gelu": lambda m, x: F.gelu(x),
    "silu": lambda m, x: F.silu(x),
    "sigmoid": lambda m, x: torch.sigmoid(x),
    "tanh": lambda m, x: x.tanh(),
    "exp": lambda m, x: x.exp(),
    "softmax": lambda m, x: x.softmax(1),
    "sqrt": lambda m, x: (x * x + 1).sqrt(),
    "mul": lambda m, x: x * m.scale,
    "add": lambda m, x: x + 1,
    "max_pool": lambda m, x: F.max_pool2d(x, 3, 1, 1),
    "avg_pool": lambda m, x: F.avg_pool2d(x, 3, 1, 1),
    "dropout": lambda m, x: F.dropout(x, 0.5, m.training),
    "clone": lambda m, x: x.clone(),
    "layer_norm": lambda m, x: F.layer_norm(x, x.shape[1:]),
    "interpolate": lambda m, x: F.interpolate(x, scale_factor=1.0),
    "leaky_relu": lambda m, x: F.leaky_relu(x),
    "view": lambda m, x: m.conv(x).view(x.shape),
    "square": lambda m, x: x**2,
}
WRITERS = {
    "iadd": lambda y, x: y.__iadd__(x),
    "add_": lambda y, x: y.add_(x),
    "mul_": lambda y, x: y.mul_(2),
    "relu_": lambda y, x: F.relu(y, inplace=True),
    "setitem": lambda y, x: y.__setitem__((slice(None), 0), 0.0),
    "of a slice": lambda y, x: y[:, :1].add_(1),
}
READERS = {
    "nothing": lambda m, y: None,
    "read before": lambda m, y: m.conv2(y),
}


class Overwriting(nn.Module):
    def __init__(self, maker, writer, reader) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, 4, 1)
        self.norm, self.conv, self.conv2 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.scale = nn.Parameter(torch.ones(1, 4, 1, 1))
        self.maker, self.writer, self.reader = maker, writer, reader

    def forward(self, x):
        x = self.stem(x)
        y = self.maker(self, x)
        kept = self.reader(self, y)
        written = self.writer(y, x)
        out = y if written is None else written
        return out if kept is None else (out, kept)


def really_refused(model: nn.Module, *shape: int) -> bool:
    outputs = model(torch.randn(*shape))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    try:
        sum(output.sum() for output in outputs).backward()
    except RuntimeError as error:
        refusal = str(error)
    else:
        return False
    assert "modified by an inplace operation" in refusal
    return True


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("maker", MAKERS)
def test_a_refusal_is_recorded_where_backward_really_refuses(maker: str, writer: str, reader: str) -> None:
    model = Overwriting(MAKERS[maker], WRITERS[writer], READERS[reader]).train()
    graph = trace(model, (2, 4, 6, 6))
    assert graph.stopped is None
    assert graph.failures == ()
    assert bool(graph.refusals) == really_refused(model, 2, 4, 6, 6)
    for refusal in graph.refusals:
        assert refusal.saver < refusal.writer
        assert graph[refusal.writer].overwrites is not None


def test_the_refusal_names_who_kept_and_who_wrote() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x):
            y = F.relu(self.conv(x))
            y += x
            return y

    (refusal,) = (graph := trace(Block(), (2, 4, 6, 6))).refusals
    assert (graph[refusal.saver].op, graph[refusal.writer].op) == ("relu", "add")
    assert graph[refusal.writer].overwrites == refusal.saver
    assert "modified by an inplace operation" in refusal.message


class Custom(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0]


def test_a_custom_function_refuses_too() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(3, 3)

        def forward(self, x):
            y = Custom.apply(self.stem(x))
            return y.add_(1)

    model = Model()
    assert really_refused(model, 2, 3)
    assert trace(model, (2, 3)).refusals


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_keeps_nothing_to_refuse(reentrant: bool) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.conv = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

        def block(self, x):
            return F.relu(self.conv(x))

        def forward(self, x):
            y = torch.utils.checkpoint.checkpoint(self.block, self.stem(x), use_reentrant=reentrant)
            return y.add_(1)

    model = Model()
    assert bool(trace(model, (2, 4, 5, 5)).refusals) == really_refused(model, 2, 4, 5, 5)


class Parts(nn.Module):
    """Parameters in every relation to the output."""

    def __init__(self, **use) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))
        self.scale, self.unused = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
        self.use = use

    def forward(self, x):
        use = self.use
        h = self.a(x)
        if use.get("no_grad"):
            with torch.no_grad():
                h = self.a(x)
        branch = self.b(h)
        if use.get("detach"):
            branch = branch.detach()
        if use.get("data"):
            branch = branch.data
        if use.get("argmax"):
            branch = branch.argmax(-1, keepdim=True).float()
        if use.get("checkpoint") is not None:
            branch = torch.utils.checkpoint.checkpoint(self.b, h, use_reentrant=use["checkpoint"])
        if use.get("checkpoint_input"):
            branch = torch.utils.checkpoint.checkpoint(self.b, x, use_reentrant=True)
        if use.get("custom"):
            branch = Reversible.apply(h, self.b)
        if use.get("masked"):
            branch = branch[branch.sum(-1) > -1e9]
        if use.get("setitem"):
            buffer = torch.zeros_like(h)
            buffer[:, :2] = branch[:, :2]
            branch = buffer
        out = h + branch * self.scale
        return (out, self.c(x)) if use.get("two") else out


class Reversible(torch.autograd.Function):
    """Runs a module without storing anything, and again in backward: its parameters are no arguments."""

    @staticmethod
    def forward(ctx, x, module):
        ctx.module = module
        ctx.save_for_backward(x)
        return module(x)

    @staticmethod
    def backward(ctx, gradient):
        x = ctx.saved_tensors[0].detach().requires_grad_()
        with torch.enable_grad():
            y = ctx.module(x)
        torch.autograd.backward(y, gradient)
        return x.grad, None


USES = [
    {},
    {"two": True},
    {"no_grad": True},
    {"detach": True},
    {"data": True},
    {"argmax": True},
    {"checkpoint": False},
    {"checkpoint": True},
    {"checkpoint_input": True},
    {"custom": True},
    {"masked": True},
    {"setitem": True},
]


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("frozen", [False, True], ids=["all", "frozen"])
@pytest.mark.parametrize("use", USES, ids=lambda use: "+".join(map(str, use)) or "plain")
def test_parameters_reached_are_those_that_get_gradients(use, frozen) -> None:
    model = Parts(**use)
    model.a.weight.requires_grad_(not frozen)
    graph = trace(model, (5, 4))
    outputs = model(torch.randn(5, 4))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(output.sum() for output in outputs).backward()
    reached = {parameter.name: parameter.reached for parameter in graph.parameters}
    assert reached == {name: parameter.grad is not None for name, parameter in model.named_parameters()}
    assert {p.name for p in graph.parameters if not p.used} == {"unused"} | (
        set() if use.get("two") else {"c.weight", "c.bias"}
    )


def test_every_pair_of_maker_and_writer_is_tried() -> None:
    """The table above holds both answers: a recorder that always says yes, or no, fails it."""
    answers = {
        really_refused(Overwriting(MAKERS[m], WRITERS[w], READERS["nothing"]).train(), 2, 4, 6, 6)
        for m, w in itertools.product(("batch_norm", "relu"), ("iadd",))
    }
    assert answers == {False, True}
