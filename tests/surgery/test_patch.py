"""Source diffs: written to a file, applied by git, imported, and equal to the live edit in outputs and gradients."""

import importlib.util
import itertools
import subprocess
from pathlib import Path

import pytest
import torch

from skipstone import surgery
from skipstone.core.edit import (
    Connect,
    DropOperand,
    MapOperand,
    ModuleSpec,
    NarrowInput,
    OutOfPlace,
    ReplaceModule,
    SetArgument,
    SetAttributes,
    Transform,
)
from skipstone.surgery import site_of
from skipstone.tracing import trace

HEAD = """import torch
from torch import nn
import torch.nn.functional as F


"""
BLOCK = (
    HEAD
    + '''class Block(nn.Module):
    """A block."""

    def __init__(self, c=4):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)   # keep me
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.Conv2d(8, 8, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        out = self.conv(x)
        {body}
        return self.head(torch.cat([out, x], dim=1))
'''
)
_numbers = itertools.count()


def load(path: Path):
    spec = importlib.util.spec_from_file_location(f"patched_{next(_numbers)}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(folder: Path, text: str) -> Path:
    path = folder / "net.py"
    path.write_bytes(text.encode())
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return path


def same(a, b, x):
    """Equal outputs and gradients for equal weights."""
    b.load_state_dict(a.state_dict())
    results = []
    for model in (a, b):
        model.zero_grad()
        y = model(x.clone())
        y.square().sum().backward()
        results.append((y.detach(), {n: p.grad for n, p in model.named_parameters()}))
    (y, grads), (z, others) = results
    assert torch.equal(y, z)
    assert grads.keys() == others.keys()
    assert all((g is None and others[n] is None) or torch.equal(g, others[n]) for n, g in grads.items())


def patched(folder: Path, text: str, edits_of, *, shape=(2, 4, 8, 8), name="Block") -> str:
    """Check the whole way for one edit; returns the diff."""
    path = written(folder, text)
    torch.manual_seed(0)
    model = getattr(load(path), name)().double()
    graph = trace(model, torch.empty(shape, dtype=torch.float64))
    edits = edits_of(graph)
    live = surgery.apply(model, edits)
    diff = surgery.source_diff(model, edits)
    assert diff is not None, surgery.why_not(model, edits)
    (folder / "edit.patch").write_bytes(diff.encode())
    subprocess.run(["git", "apply", "--check", "edit.patch"], cwd=folder, check=True)
    subprocess.run(["git", "apply", "edit.patch"], cwd=folder, check=True)
    same(live, getattr(load(path), name)().double(), torch.randn(shape, dtype=torch.float64))
    return diff


def node(graph, op, number=0):
    return [n for n in graph if n.op == op and n.kind == "op"][number].index


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("out += x", "out = out + self.skipstone_shortcut(x)"),
        ("out += x  # a comment", "out = out + self.skipstone_shortcut(x)  # a comment"),
        ("out = (out\n               + x)", "(out + self.skipstone_shortcut(x))"),
        ("out = torch.add(out, x)", "torch.add(out, self.skipstone_shortcut(x))"),
        ("out.add_(x)", "out.add_(self.skipstone_shortcut(x))"),
        ("out = out.add(x)", "out.add(self.skipstone_shortcut(x))"),
        ("out = F.relu(out + 2 * x)", "out + self.skipstone_shortcut((2 * x))"),
        ("out = (lambda a: a + x)(out)", "lambda a: a + self.skipstone_shortcut(x)"),
    ],
)
def test_layer_on_one_operand(tmp_path, body, expected):
    spec = ModuleSpec("Conv2d", {"in_channels": 4, "out_channels": 4, "kernel_size": 1})

    def edits(graph):
        return (MapOperand(site_of(graph, node(graph, "add")), 1, Transform("module", spec)),)

    diff = patched(tmp_path, BLOCK.format(body=body), edits)
    kept = expected.replace("out = out +", "out +=") if body.startswith("out +=") else expected
    assert kept in diff
    assert "self.skipstone_shortcut = nn.Conv2d(in_channels=4, out_channels=4, kernel_size=1)" in diff


@pytest.mark.parametrize(
    ("body", "operand", "expected"),
    [
        ("out += x", 1, "-        out += x"),
        ("out += x", 0, "+        out = x"),
        ("out = out + x", 1, "-        out = out + x"),
        ("out = out - (x\n            * 2)", 0, "+        out = -(x\n             * 2)"),
        ("out = 3 * (out + x)", 0, "+        out = 3 * (x)"),
        ("out.add_(x)", 1, "-        out.add_(x)"),
        ("if True:\n            out += x", 1, "+            pass"),
    ],
)
def test_operand_dropped(tmp_path, body, operand, expected):
    op = "sub" if " - " in body else "add"
    diff = patched(tmp_path, BLOCK.format(body=body), lambda g: (DropOperand(site_of(g, node(g, op)), operand),))
    assert expected in diff


def test_concatenation_loses_an_operand_and_its_reader_channels(tmp_path):
    def edits(graph):
        return (DropOperand(site_of(graph, node(graph, "cat")), 1), NarrowInput("head.0", ((0, 4),)))

    diff = patched(tmp_path, BLOCK.format(body="pass"), edits)
    assert "torch.cat([out], dim=1)" in diff
    assert "nn.Conv2d(4, 8, 1)," in diff
    assert "# keep me" not in [line for line in diff.splitlines() if line.startswith("-")]


@pytest.mark.parametrize(
    ("body", "op", "edit", "expected"),
    [
        ("out += x", "add", OutOfPlace, "out = out + x"),
        ("out *= x + 1", "mul", OutOfPlace, "out = out * (x + 1)"),
        ("out.add_(x)", "add", OutOfPlace, "out = out.add(x)"),
        ("out = F.relu(out, inplace=True)", "relu", OutOfPlace, "F.relu(out, inplace=False)"),
        (
            "out = out.mean(1, keepdim=True) + x",
            "mean",
            lambda s: SetArgument(s, "dim", 2),
            "out.mean(2, keepdim=True)",
        ),
        ("out = torch.cat([out, x])[:2]", "cat", lambda s: SetArgument(s, "dim", 0), "torch.cat([out, x], dim=0)"),
        ("out = out + x", "add", lambda s: MapOperand(s, 1, Transform("clone")), "out + x.clone()"),
        ("out = out + x", "add", lambda s: MapOperand(s, 1, Transform("zero")), "out + torch.zeros_like(x)"),
    ],
)
def test_calls_changed(tmp_path, body, op, edit, expected):
    diff = patched(tmp_path, BLOCK.format(body=body), lambda g: (edit(site_of(g, node(g, op))),))
    assert f"{expected}" in diff


@pytest.mark.parametrize("kind", ["crop-like", "pad-like", "center-crop-like", "interpolate-like"])
def test_sizes_matched(tmp_path, kind):
    text = BLOCK.format(body="small = self.pool(x)\n        out = out + small")
    big_is_changed = "crop" in kind
    text = text.replace("torch.cat([out, x], dim=1)", "torch.cat([out, out], dim=1)")

    def edits(graph):
        operand, like = (0, 1) if big_is_changed else (1, 0)
        return (MapOperand(site_of(graph, graph.failures[0].index), operand, Transform(kind, like=like)),)

    diff = patched(tmp_path, text, edits)
    assert "import" not in [line for line in diff.splitlines() if line.startswith("-")]


@pytest.mark.parametrize(
    ("body", "operand", "kind", "expected"),
    [
        ("out = torch.cat([self.pool(out), x], 1)[:, :4]", 1, "crop-like",
         "torch.cat([(other := self.pool(out)), crop_like(x, other)], 1)"),
        ("out = torch.cat([out, self.pool(x)], 1)[:, :4]", 0, "crop-like",
         "torch.cat([crop_like(out, (other := self.pool(x))), other], 1)"),
        ("out += self.pool(x)", 0, "crop-like", "out = crop_like(out, (other := self.pool(x))) + other"),
        ("other = 1\n        out = self.pool(x) + self.conv(x * other)", 0, "pad-like",
         "pad_like(self.pool(x), (other_2 := self.conv(x * other))) + other_2"),
    ],
)  # fmt: skip
def test_an_operand_computed_in_the_call_is_named(tmp_path, body, operand, kind, expected):
    text = BLOCK.format(body=body).replace("torch.cat([out, x], dim=1)", "torch.cat([out, out], dim=1)")

    def edits(graph):
        transform = Transform(kind, like=1 - operand)
        return (MapOperand(site_of(graph, graph.failures[0].index), operand, transform),)

    assert expected in patched(tmp_path, text, edits)


@pytest.mark.parametrize("kind", ["crop-like", "pad-like", "center-crop-like", "interpolate-like"])
def test_sizes_of_other_axes_matched(tmp_path, kind):
    shorter, longer = "x.flatten(2)[:, :, :9].transpose(1, 2)", "x.flatten(2).transpose(1, 2)"
    first, second = (longer, shorter) if "crop" in kind else (shorter, longer)
    body = f"a, b = {first}, {second}\n        out = out + (a + b).mean()"
    text = BLOCK.format(body=body)

    def edits(graph):
        transform = Transform(kind, like=1, arguments={"axes": (1,)})
        return (MapOperand(site_of(graph, graph.failures[0].index), 0, transform),)

    assert "(a, b, (1,))" in patched(tmp_path, text, edits)


def test_settings_and_layers(tmp_path):
    text = BLOCK.format(body="out = out + F.interpolate(self.pool(x), size=x.shape[2:])")

    def edits(graph):
        return (
            SetAttributes("pool", {"ceil_mode": True}),
            SetAttributes("head.1", {"inplace": False}),
            ReplaceModule("head.0", ModuleSpec("Conv2d", {"in_channels": 8, "out_channels": 8, "kernel_size": 3})),
        )

    diff = patched(tmp_path, text, edits)
    assert "nn.MaxPool2d(2, ceil_mode=True)" in diff
    assert "nn.ReLU(inplace=False)," in diff
    assert "            nn.Conv2d(in_channels=8, out_channels=8, kernel_size=3)," in diff


@pytest.mark.parametrize("ending", ["\r\n", "no newline"])
def test_line_ends_stay(tmp_path, ending):
    text = BLOCK.format(body="out += x")
    text = text.rstrip("\n") if ending == "no newline" else text.replace("\n", "\r\n")
    patched(tmp_path, text, lambda g: (OutOfPlace(site_of(g, node(g, "add"))),))


def test_non_ascii_text_before_the_site(tmp_path):
    text = BLOCK.format(body='"größe"; out += x  # größer'.replace(";", ";"))
    diff = patched(tmp_path, text, lambda g: (OutOfPlace(site_of(g, node(g, "add"))),))
    assert '"größe"; out = out + x  # größer' in diff


TWO = (
    BLOCK.format(body="out += x")
    + """

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Block()
        self.fit = nn.Conv2d(8, 4, 1)
        self.b = Block()

    def forward(self, x):
        return self.b(self.fit(self.a(x)))
"""
)


def test_shared_class_is_patched_only_for_all_its_instances(tmp_path):
    model = load(written(tmp_path, TWO)).Net()
    graph = trace(model, (2, 4, 8, 8))
    drops = [DropOperand(site_of(graph, n.index), 1) for n in graph if n.op == "add"]
    assert len(drops) == 2
    assert surgery.source_diff(model, drops[:1]) is None
    assert "b runs net.py" in surgery.why_not(model, drops[:1])
    assert surgery.source_diff(model, drops) is not None
    assert surgery.source_diff(model, (SetAttributes("a.pool", {"ceil_mode": True}),)) is None


HELD = (
    HEAD
    + """def join(a, b):
    return a + b


class One(nn.Module):
    def forward(self, x):
        return join(x.tanh(), x)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.join = lambda a, b: join(a, b)

    def forward(self, x):
        return self.join(x.sin(), x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = One(), Two()

    def forward(self, x):
        return self.two(self.one(x))
"""
)


def test_a_function_that_another_instance_holds_is_shared_too(tmp_path):
    model = load(written(tmp_path, HELD)).Net()
    graph = trace(model, (2, 4))
    drops = [DropOperand(site_of(graph, n.index), 1) for n in graph if n.op == "add"]
    assert [drop.site.module for drop in drops] == ["one", "two"]
    assert surgery.source_diff(model, drops[:1]) is None
    assert "two runs net.py" in surgery.why_not(model, drops[:1])


def test_shared_class_patched_for_all(tmp_path):
    diff = patched(
        tmp_path, TWO, lambda g: tuple(DropOperand(site_of(g, n.index), 1) for n in g if n.op == "add"), name="Net"
    )
    assert diff.count("@@") == 2


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("parts = [out, x]\n        out = torch.cat(parts, 1)[:, :4]", "not written out"),
        ("for _ in range(2):\n            out = torch.cat([out, x], 1)[:, :4]", "some of its runs"),
    ],
)
def test_refused_where_not_certain(tmp_path, body, why):
    model = load(written(tmp_path, BLOCK.format(body=body))).Block()
    graph = trace(model, (2, 4, 8, 8))
    edits = (MapOperand(site_of(graph, node(graph, "cat")), 1, Transform("zero")),)
    surgery.apply(model, edits)
    assert surgery.source_diff(model, edits) is None
    assert why in surgery.why_not(model, edits)
    assert "the second operand" in surgery.suggestion(edits)


def test_settings_from_arguments_are_refused(tmp_path):
    model = load(written(tmp_path, BLOCK.format(body="pass"))).Block()
    edits = (ReplaceModule("conv", ModuleSpec("Conv2d", {"in_channels": 4, "out_channels": 4, "kernel_size": 1})),)
    assert surgery.source_diff(model, edits) is None
    assert "computed from the constructor's own" in surgery.why_not(model, edits)
    assert surgery.source_diff(model, (Connect("conv", "head", "add"),)) is None
    assert "whether head gives one tensor" in surgery.why_not(model, (Connect("conv", "head", "add"),))


CHAIN = (
    HEAD
    + """class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 6, 3, 2, 1)
        self.c = nn.Conv2d(6, 6, 3, padding=1)
        self.d = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        y = torch.tanh(self.a(x))  # first
        y = torch.tanh(self.b(y))
        return self.d(torch.tanh(self.c(y)))
"""
)


@pytest.mark.parametrize("at_init", ["zero", "plain"])
@pytest.mark.parametrize("ends", [("a", "b"), ("a", "c"), ("b", "c")])
def test_connections_within_one_forward(tmp_path, ends, at_init):
    path = written(tmp_path, CHAIN)
    torch.manual_seed(0)
    model, x = load(path).Chain().double(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    plan = surgery.plan_connection(model, *ends, at_init=at_init, example=x)
    live, diff = surgery.apply(model, plan.edits), surgery.source_diff(model, plan.edits)
    assert diff is not None, surgery.why_not(model, plan.edits)
    (tmp_path / "edit.patch").write_text(diff)
    subprocess.run(["git", "apply", "--check", "edit.patch"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "edit.patch"], cwd=tmp_path, check=True)
    new = load(path).Chain().double()
    names = {
        f"{ends[1]}.skipstone_skip.shortcut": "skipstone_shortcut",
        f"{ends[1]}.skipstone_skip.gain": "skipstone_gain",
    }
    renamed = {}
    for name, value in live.state_dict().items():
        old = next((old for old in names if name.startswith(old)), None)
        renamed[name if old is None else names[old] + name.removeprefix(old)] = value
    new.load_state_dict(renamed)
    assert torch.equal(new(x), live(x))
    for net in (new, live):
        net(x).square().sum().backward()
    assert torch.equal(new.a.weight.grad, live.a.weight.grad)
    if at_init == "zero":
        assert torch.equal(new.skipstone_gain.grad, live.get_submodule(ends[1]).skipstone_skip.gain.grad)


def test_connections_across_modules_are_refused(tmp_path):
    model = load(written(tmp_path, TWO)).Net()
    plan = surgery.plan_connection(model, "a.conv", "b.conv", example=(2, 4, 8, 8))
    assert surgery.source_diff(model, plan.edits) is None
    assert "one layer of a module" in surgery.why_not(model, plan.edits)
    plan = surgery.plan_connection(model, "a.conv", "a.head.0", example=(2, 4, 8, 8))
    assert surgery.source_diff(model, plan.edits) is None


def test_installed_packages_are_refused():
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    graph = trace(layer, (2, 3, 8))
    adds = [n.index for n in graph if n.op == "add" and n.module == ""]
    edits = (DropOperand(site_of(graph, adds[0]), 0),)
    assert surgery.source_diff(layer, edits) is None
    assert "not a source file of this project" in surgery.why_not(layer, edits)
