"""Edits carried out live: every form a call site takes, networks that fail as given, fallbacks and refusals."""

import functools
import operator
import pickle
import warnings
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from skipstone import surgery
from skipstone.core.edit import (
    DropOperand,
    MapOperand,
    ModuleSpec,
    NarrowInput,
    OutOfPlace,
    ReplaceModule,
    SetArgument,
    SetAttributes,
    Transform,
    WidenInput,
)
from skipstone.core.errors import UnknownNameError
from skipstone.surgery import SurgeryError, SurgeryWarning, site_of
from skipstone.tracing import trace


def combine(a, b):
    return deeper(a, b)


def deeper(a, b):
    return a + b


def loud(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def branch(self, x):
        return torch.tanh(self.fc(x))

    def forward(self, x):
        return self.branch(x) + x


class Through(Base):
    """Reached by `super()`."""

    def forward(self, x):
        return super().forward(x) * 2


class Decorated(Base):
    @loud
    def forward(self, x):
        return self.branch(x) + x


class Function(Base):
    def forward(self, x):
        return combine(self.branch(x), x)


class Static(Base):
    @staticmethod
    def join(a, b):
        return a + b

    def forward(self, x):
        return self.join(self.branch(x), x)


class Private(Base):
    def __join(self, a, b):
        return a + b

    def forward(self, x):
        return self.__join(self.branch(x), x)


class Nested(Base):
    def forward(self, x):
        def inner(y):
            return y + x

        return inner(self.branch(x))


class Lambda(Base):
    def forward(self, x):
        return (lambda y: y + x)(self.branch(x))


class Property(Base):
    @property
    def joined(self):
        return self.out + self.x

    def forward(self, x):
        self.out, self.x = self.branch(x), x
        return self.joined


class Augmented(Base):
    def forward(self, x):
        out = self.branch(x)
        out += x
        return out


class Subscripted(Base):
    def forward(self, x):
        outs = [self.branch(x)]
        outs[0] += x
        return outs[0]


class InPlaceStatement(Base):
    def forward(self, x):
        out = self.branch(x)
        out.add_(x)
        return out


class Called(Base):
    def forward(self, x):
        return torch.add(self.branch(x), other=x)


class Summed(Base):
    def forward(self, x):
        return sum([self.branch(x), x])


class Reduced(Base):
    def forward(self, x):
        return functools.reduce(operator.add, (self.branch(x), x))


class Comprehended(Base):
    def forward(self, x):
        return [a + b for a, b in [(self.branch(x), x)]][0]  # noqa: RUF015


class Annotated(Base):
    def forward(self, x: "Unknown", scale: "Unknown" = 1.0):  # noqa: F821
        """Doc."""
        return self.branch(x) + x


FORMS = [Base, Through, Decorated, Function, Static, Private, Nested, Lambda, Property, Augmented, Subscripted,
         InPlaceStatement, Called, Summed, Reduced, Comprehended, Annotated]  # fmt: skip


def the_add(model, example):
    graph = trace(model, example)
    index = [n.index for n in graph if n.op == "add" and len(n.inputs) == 2][-1]
    return site_of(graph, index), graph[index]


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)
def test_every_form_of_a_site(form):
    model, x = form(), torch.randn(3, 4)
    site, node = the_add(model, (3, 4))
    shortcut = next(i for i, n in enumerate(node.inputs) if n == 0)
    spec = ModuleSpec("Linear", {"in_features": 4, "out_features": 4})
    edited = surgery.apply(model, [MapOperand(site, shortcut, Transform("module", spec))])
    scale = 2 if form is Through else 1
    want = (edited.branch(x) + edited.skipstone_shortcut(x)) * scale
    torch.testing.assert_close(edited(x), want)
    torch.testing.assert_close(pickle.loads(pickle.dumps(edited))(x), want)
    dropped = surgery.apply(model, [DropOperand(site, shortcut)])
    torch.testing.assert_close(dropped(x), model.branch(x) * scale)
    assert dropped.forward.__doc__ == form.forward.__doc__
    # The sum is gone from the record, and what stays is where it was.
    left = trace(dropped, (3, 4))
    assert not [n for n in left if n.op == "add" and len(n.inputs) == 2]
    assert {n.place for n in left if n.op == "tanh"} == {n.place for n in trace(model, (3, 4)) if n.op == "tanh"}


class Ops(nn.Module):
    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, a, b):
        return self.run(a, b)


class Pairs(nn.Module):
    def forward(self, a, b):
        return {
            "sub": a - b, "rsub": torch.rsub(a, b), "alpha": torch.add(a, b, alpha=2), "mul": a * b, "div": a / b,
            "max": torch.maximum(a, b), "cat": torch.cat((a, b), 1), "stack": torch.stack([a, b]).sum(0),
        }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "op", "left", "right"),
    [
        ("sub", "sub", lambda a, b: a, lambda a, b: -b),
        ("rsub", "rsub", lambda a, b: -a, lambda a, b: b),
        ("alpha", "add", lambda a, b: a, lambda a, b: 2 * b),
        ("mul", "mul", lambda a, b: a, lambda a, b: b),
        ("max", "maximum", lambda a, b: a, lambda a, b: b),
        ("cat", "cat", lambda a, b: a, lambda a, b: b),
        ("stack", "stack", lambda a, b: a, lambda a, b: b),
    ],
)
def test_what_is_left_of_an_operation(key, op, left, right):
    a, b = torch.randn(2, 3), torch.rand(2, 3) + 1
    model = Pairs()
    graph = trace(model, ((2, 3), (2, 3)))
    site = site_of(graph, next(n.index for n in graph if n.op == op and len(n.inputs) == 2))
    assert torch.equal(surgery.apply(model, [DropOperand(site, 1)])(a, b)[key], left(a, b))
    assert torch.equal(surgery.apply(model, [DropOperand(site, 0)])(a, b)[key], right(a, b))


def test_a_quotient_without_its_numerator_is_refused():
    graph = trace(Pairs(), ((2, 3), (2, 3)))
    site = site_of(graph, next(n.index for n in graph if n.op == "div"))
    with pytest.raises(SurgeryError, match="operand 0 cannot be taken out of 'div'"):
        surgery.apply(Pairs(), [DropOperand(site, 0)])


class Broken(nn.Module):
    """Fails at the sum: other channels, other size."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(7, 2)

    def forward(self, x):
        out = self.conv(x)
        out += self.pool(x)
        return self.head(out.mean((2, 3)))


def test_a_network_that_fails_as_given():
    model = Broken()
    graph = trace(model, (2, 3, 9, 9))
    site = site_of(graph, graph.failures[0].index)
    spec = ModuleSpec("Conv2d", {"in_channels": 3, "out_channels": 8, "kernel_size": 1})
    mended = surgery.apply(
        model,
        [
            MapOperand(site, 1, Transform("module", spec)),
            SetAttributes("pool", {"ceil_mode": True}),
            ReplaceModule("head", ModuleSpec("Linear", {"in_features": 8, "out_features": 2})),
        ],
    )
    y = mended(torch.randn(2, 3, 9, 9))
    y.sum().backward()
    assert y.shape == (2, 2)
    assert list(mended.state_dict())[-2:] == ["skipstone_shortcut.weight", "skipstone_shortcut.bias"]
    assert not trace(mended, (2, 3, 9, 9)).failures
    assert torch.equal(mended.conv.weight, model.conv.weight)
    assert not model.pool.ceil_mode


@pytest.mark.parametrize(
    ("kind", "operand", "shapes", "want"),
    [
        ("crop-like", 0, ((2, 3, 6, 7), (2, 3, 5, 5)), (2, 6, 5, 5)),
        ("center-crop-like", 0, ((2, 3, 8, 9), (2, 3, 5, 5)), (2, 6, 5, 5)),
        ("pad-like", 0, ((2, 3, 4, 5), (2, 3, 5, 7)), (2, 6, 5, 7)),
        ("interpolate-like", 1, ((2, 3, 4, 4), (2, 3, 2, 3)), (2, 6, 4, 4)),
        ("expand-like", 1, ((2, 3, 4, 4), (2, 5, 1, 1)), (2, 8, 4, 4)),
        ("crop-like", 1, ((2, 3, 5), (2, 3, 7)), (2, 6, 5)),
    ],
)
def test_one_operand_fitted_to_the_other(kind, operand, shapes, want):
    class Cat(nn.Module):
        def forward(self, a, b):
            return torch.cat([a, b], dim=1)

    graph = trace(Cat(), shapes)
    edit = MapOperand(site_of(graph, graph.failures[0].index), operand, Transform(kind, like=1 - operand))
    a, b = map(torch.randn, shapes)
    y = surgery.apply(Cat(), [edit])(a, b)
    assert y.shape == want
    kept = y[:, :3] if operand else y[:, 3:]
    assert torch.equal(kept, a if operand else b)


def test_arguments_and_axes():
    class Net(nn.Module):
        def forward(self, a, b):
            c = torch.cat([a, b], axis=0)
            return c.flatten(0).view(2, -1).mean(1) + a.unsqueeze(0).sum()

    model, a = Net(), torch.randn(2, 3)
    graph = trace(model, ((2, 3), (2, 3)))
    sites = {n.op: site_of(graph, n.index) for n in graph if n.kind == "op"}
    edits = [
        SetArgument(sites["cat"], "dim", 1), SetArgument(sites["flatten"], "start_dim", 1),
        SetArgument(sites["view"], "shape", (3, -1)), SetArgument(sites["mean"], "keepdim", True),
        SetArgument(sites["unsqueeze"], "dim", 1),
    ]  # fmt: skip
    y = surgery.apply(model, edits)(a, a)
    assert y.shape == (3, 1)
    fed = surgery.apply(model, [MapOperand(sites["cat"], 1, Transform("unsqueeze", arguments={"dims": (0,)})),
                                MapOperand(sites["cat"], 0, Transform("flatten"))])  # fmt: skip
    with pytest.raises(RuntimeError):
        fed(a, a)


@pytest.mark.parametrize(
    "line",
    [
        lambda x, y: operator.iadd(x, y), lambda x, y: x.add_(y), lambda x, y: F.relu(x, inplace=True),
        lambda x, y: F.relu(x, True), lambda x, y: F.relu_(x), lambda x, y: torch.relu_(x), lambda x, y: x.mul_(2),
        lambda x, y: F.elu(x, 1.0, True), lambda x, y: F.leaky_relu_(x),
    ],
)  # fmt: skip
def test_out_of_place(line):
    model = Ops(line)
    graph = trace(model, ((2, 3), (2, 3)))
    node = next(n for n in graph if n.overwrites is not None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SurgeryWarning)  # a function kept on the instance is watched, not rewritten
        edited = surgery.apply(model, [OutOfPlace(site_of(graph, node.index))])
    x, y = torch.randn(2, 3), torch.randn(2, 3)
    want, kept = model(x.clone(), y), x.clone()
    assert torch.equal(edited(x, y), want)
    assert torch.equal(x, kept)


class Assigned(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[:, 0] = 1.0
        y[:, 1:2] *= x[:, 1:2]
        return y, x


def test_assignment_to_a_part_out_of_place():
    graph = trace(Assigned(), (2, 3))
    node = next(n for n in graph if n.op == "setitem")
    edited = surgery.apply(Assigned(), [OutOfPlace(site_of(graph, node.index))])
    x = torch.randn(2, 3)
    assert torch.equal(edited(x)[0], Assigned()(x)[0])


# ---- which run of a line


class Repeated(nn.Module):
    def __init__(self, mode="plain"):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.mode = mode

    def step(self, layer, x):
        return x + layer(x)

    def forward(self, x):
        for layer in self.layers:
            x = self.step(layer, x) if self.mode == "plain" else checkpoint(self.step, layer, x, use_reentrant=True)
        return x


def test_one_run_of_a_helper():
    model, x = Repeated(), torch.randn(2, 4)
    graph = trace(model, (2, 4))
    second = [n.index for n in graph if n.op == "add"][1]
    site = site_of(graph, second)
    assert site.occurrence == 1
    edited = surgery.apply(model, [DropOperand(site, 0)])
    a, b, c = model.layers
    h = x + a(x)
    want = b(h) + c(b(h))
    for _ in range(2):
        torch.testing.assert_close(edited(x), want)
    torch.testing.assert_close(checkpoint(edited, x, use_reentrant=False), want)


def test_a_run_that_checkpointing_repeats_alone_is_refused_loudly():
    model = Repeated("checkpointed")
    graph = trace(model, (2, 4))
    edited = surgery.apply(model, [DropOperand(site_of(graph, [n.index for n in graph if n.op == "add"][1]), 0)])
    y = edited(torch.randn(2, 4).requires_grad_())
    with pytest.raises(SurgeryError, match="activation checkpointing runs a part of it again"):
        y.sum().backward()


def test_every_run_is_right_under_inner_checkpointing():
    model, x = Repeated("checkpointed"), torch.randn(2, 4)
    graph = trace(model, (2, 4))
    edits = [DropOperand(site_of(graph, n.index), 0) for n in graph if n.op == "add"]
    every = [DropOperand(replace(edits[0].site, occurrence=None), 0)]
    edited = surgery.apply(model, every)
    x.requires_grad_()
    edited(x).sum().backward()
    got = x.grad.clone()
    x.grad = None
    nn.Sequential(*model.layers)(x).sum().backward()
    torch.testing.assert_close(got, x.grad)


def test_edits_upon_edits():
    model, x = Repeated(), torch.randn(2, 4)
    for _ in range(3):
        graph = trace(model, (2, 4))
        adds = [n.index for n in graph if n.op == "add"]
        model = surgery.apply(model, [DropOperand(site_of(graph, adds[0]), 0)])
    assert not [n for n in trace(model, (2, 4)) if n.op == "add"]
    torch.testing.assert_close(model(x), nn.Sequential(*model.layers)(x))
    assert len([n for n in trace(surgery.revert(model), (2, 4)) if n.op == "add"]) == 1


# ---- torch's own modules, missing source, shared modules


@pytest.mark.parametrize("nested", [True, False])
def test_torch_layers_leave_their_fast_path(nested):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested).eval()
    graph = trace(model, (2, 5, 8))
    adds = [n.index for n in graph if n.op == "add" and n.module == "layers.1"]
    edited = surgery.apply(model, [DropOperand(site_of(graph, adds[0]), 0)])
    x, mask = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    for keywords in ({}, {"src_key_padding_mask": mask}):
        slow = edited(x, **keywords)
        with torch.no_grad():
            fast = edited(x, **keywords)
        torch.testing.assert_close(fast[~mask], slow[~mask])
        assert not torch.allclose(slow[~mask], model(x, **keywords)[~mask])


def without_source():
    namespace = {"nn": nn, "torch": torch, "checkpoint": checkpoint}
    exec(
        compile(
            "class Hidden(nn.Module):\n"
            "    def __init__(self, inner=False):\n"
            "        super().__init__()\n"
            "        self.fc, self.inner = nn.Linear(4, 4), inner\n"
            "    def part(self, x):\n"
            "        return torch.tanh(self.fc(x)) + x\n"
            "    def forward(self, x):\n"
            "        return checkpoint(self.part, x, use_reentrant=True) if self.inner else self.part(x)\n",
            "<no file>",
            "exec",
        ),
        namespace,
    )
    return namespace["Hidden"]


@pytest.mark.parametrize("inner", [False, True])
def test_without_source_calls_are_watched(inner):
    model, x = without_source()(inner), torch.randn(2, 4, requires_grad=True)
    site, _ = the_add(model, (2, 4))
    with pytest.warns(SurgeryWarning, match="there is no source for Hidden.part .* watched"):
        edited = surgery.apply(model, [DropOperand(site, 1)])
    assert surgery.source_diff(model, [DropOperand(site, 1)]) is None
    if inner:
        with pytest.raises(SurgeryError, match="which an edit without source cannot follow"):
            edited(x)
        return
    want = torch.tanh(model.fc(x))
    torch.testing.assert_close(edited(x), want)
    torch.testing.assert_close(checkpoint(edited, x, use_reentrant=True), want)


def test_a_changed_file_is_noticed(tmp_path):
    path = tmp_path / "shifting.py"
    text = "from torch import nn\n\n\nclass Net(nn.Module):\n"
    text += "    def forward(self, x):\n        y = x * 2\n        return y + x\n"
    path.write_text(text)
    namespace = {"__name__": "shifting"}
    exec(compile(text, str(path), "exec"), namespace)
    model = namespace["Net"]()
    site, _ = the_add(model, (2, 4))
    path.write_text(text.replace("x * 2", "x * 3"))
    with pytest.warns(SurgeryWarning, match="has changed since it was imported"):
        edited = surgery.apply(model, [DropOperand(site, 1)])
    assert torch.equal(edited(torch.ones(2, 4)), torch.full((2, 4), 2.0))


def test_modules_that_copy_themselves_are_refused():
    traced = torch.fx.symbolic_trace(Augmented())
    site, _ = the_add(traced, (2, 4))
    with pytest.raises(SurgeryError, match="has a __deepcopy__ of its own"):
        surgery.apply(traced, [DropOperand(site, 1)])


def test_a_shared_module_says_so():
    shared = Base()
    model = nn.Sequential(shared, nn.ReLU(), shared)
    graph = trace(model, (2, 4))
    site = site_of(graph, next(n.index for n in graph if n.op == "add"))
    with pytest.warns(SurgeryWarning, match="'0' and '2' are one module: the edit changes it in every place"):
        edited = surgery.apply(model, [DropOperand(site, 1)])
    assert edited[0] is edited[2]
    with pytest.warns(SurgeryWarning, match="one module"):
        replaced = surgery.apply(model, [ReplaceModule("0", ModuleSpec("Identity"))])
    assert isinstance(replaced[2], nn.Identity)
    assert replaced[0] is replaced[2]


# ---- layers


def test_widths():
    model = nn.Sequential(
        nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3), nn.ConvTranspose2d(6, 2, 2), nn.Flatten(), nn.Linear(18, 2)
    )
    narrow = surgery.apply(model, [NarrowInput("0", ((0, 1), (2, 4))), NarrowInput("1", ((0, 1), (2, 4))),
                                   NarrowInput("2", ((1, 5),))])  # fmt: skip
    assert torch.equal(narrow[1].weight, model[1].weight[:, [0, 2, 3]])
    assert torch.equal(narrow[2].weight, model[2].weight[1:5])
    assert narrow[0].num_features == narrow[1].in_channels == 3
    wide = surgery.apply(model, [WidenInput("0", 2), WidenInput("1", 2, "zero"), WidenInput("4", 3)])
    assert torch.equal(wide[1].weight[:, :4], model[1].weight)
    assert not wide[1].weight[:, 4:].any()
    assert wide[4].weight[:, 18:].any()
    assert torch.equal(wide[0].running_var, torch.ones(6))
    with pytest.raises(SurgeryError, match=r"3 .Flatten. cannot read fewer or more channels"):
        surgery.apply(model, [WidenInput("3", 2)])
    with pytest.raises(SurgeryError, match="reads channels 0 to 4"):
        surgery.apply(model, [NarrowInput("0", ((2, 9),))])
    normed = nn.Sequential(nn.GroupNorm(2, 8))
    assert surgery.apply(normed, [WidenInput("0", 4)])[0].num_groups == 3
    with pytest.raises(SurgeryError, match="0 can be widened by groups of 4 channels, not by 2"):
        surgery.apply(normed, [WidenInput("0", 2)])
    with pytest.raises(SurgeryError, match="0 normalises 4 channels together"):
        surgery.apply(normed, [NarrowInput("0", ((0, 2),))])


@pytest.mark.parametrize(
    ("edits", "error", "text"),
    [
        ([], SurgeryError, "nothing to do"),
        ([SetAttributes("convv", {"stride": 2})], UnknownNameError, "unknown module 'convv'; nearest: conv"),
        ([SetAttributes("pool", {"ceil": True})], UnknownNameError, "nearest: ceil_mode"),
        ([ReplaceModule("conv", ModuleSpec("Conv9d"))], SurgeryError, "no .* 'Conv9d'"),
        ([ReplaceModule("conv", ModuleSpec("Conv2d", {"channels": 3}))], SurgeryError, "cannot be made"),
        ([ReplaceModule("", ModuleSpec("Identity"))], SurgeryError, "model itself cannot be replaced"),
        (
            [SetAttributes("pool", {"ceil_mode": True}), WidenInput("pool", 2)],
            SurgeryError,
            "cannot read fewer or more",
        ),
    ],
)
def test_refusals_leave_the_model_as_it_was(edits, error, text):
    model = Broken()
    before = {name: dict(m.__dict__) for name, m in model.named_modules()}
    for keep in (True, False):
        with pytest.raises(error, match=text):
            surgery.apply(model, edits, copy=keep)
        assert {name: dict(m.__dict__) for name, m in model.named_modules()} == before


def test_preview_shares_the_weights():
    model = Base()
    site, _ = the_add(model, (2, 4))
    shown = surgery.preview(model, [DropOperand(site, 1)])
    assert shown.fc.weight is model.fc.weight
    assert type(model) is Base
