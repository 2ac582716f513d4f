"""What torch does not promise is named in one file, and each entry has its fallback."""

import ast
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import skipstone
from skipstone.tracing import torch_internals

_SOURCE = Path(skipstone.__file__).parent
_FENCE = ("tracing/torch_internals.py", "tracing/torch_files.py", "tracing/startup.py", "tracing/interpreter.py")
# Attributes of torch's objects that it does not promise, whatever the object is called.
_PRIVATE = {
    "_version", "_base", "_is_view", "_cdata", "_is_param", "_parameters", "_buffers", "_modules", "_forward_hooks",
    "_forward_pre_hooks", "_backward_hooks", "_call_impl", "_NormBase", "_BatchNorm", "_InstanceNorm", "_ConvNd",
}  # fmt: skip
_WORDS = re.compile(
    r"torch\._\w|_subclasses|_functorch|_dynamo|_inductor|_dispatch\b(?!__)|_call_impl|_nb_ops|BINARY_OP"
    r"|guard_or_(true|false)$|nn/functional\.py|_jit_internal"
)


def _private(tree):
    """Every private name of torch in a syntax tree, with its line: imports, attributes, strings that are code."""
    docs = {id(node.body[0].value) for node in ast.walk(tree) if _has_docstring(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, name) for name in names if name.startswith("_") or name == "sym_node")
        elif isinstance(node, ast.Attribute) and _is_private(node):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield from ((node.lineno, word.group()) for word in [_WORDS.search(node.value)] if word)


def _has_docstring(node):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    return isinstance(node, kinds) and ast.get_docstring(node) is not None


def _is_private(node):
    if (
        node.attr.startswith("__")
        or not node.attr.startswith("_")
        or (isinstance(node.value, ast.Name) and node.value.id == "self")
    ):
        return False
    if node.attr in _PRIVATE:
        return True
    root = node.value
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(root, ast.Name) and root.id in ("torch", "nn", "F", "optim")


def _offences(source):
    return [f"{name} in line {line}" for line, name in _private(ast.parse(source))]


def test_private_torch_is_named_in_one_file_only():
    found = {
        str(file.relative_to(_SOURCE)): offences
        for file in sorted(_SOURCE.rglob("*.py"))
        if file.relative_to(_SOURCE).as_posix() not in _FENCE
        for offences in [_offences(file.read_text(encoding="utf-8"))]
        if offences
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch._C._functorch.get_unwrapped(x)",
        "from torch._subclasses.fake_tensor import FakeTensor",
        "from torch.nn.modules.batchnorm import _NormBase",
        "from torch.fx.experimental.sym_node import SymNode",
        "from torch.utils import _pytree",
        "x._version",
        "nn.modules.conv._ConvNd",
        "F._verify_batch_size(size)",
        "loggers = ['torch._subclasses.fake_tensor']",
        "frame.f_code.co_name == '_call_impl'",
        "dis.opmap['BINARY_OP']",
    ],
)
def test_the_search_finds_what_stands_outside_the_fence(source):
    assert _offences(source)


def test_the_fence_itself_is_full_of_what_the_search_finds():
    assert len(_offences((_SOURCE / _FENCE[0]).read_text(encoding="utf-8"))) > 20


class TestFallbacks:
    def test_hooks_on_saved_tensors_are_seen_without_the_private_getter(self, monkeypatch):
        def seen():
            outside = torch_internals.saving_hooks()
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
                inside = torch_internals.saving_hooks()
            return outside is None, inside is not None, torch_internals.saving_hooks() is None

        assert seen() == (True, True, True)
        monkeypatch.setattr(torch_internals, "_top_hooks", None)
        assert seen() == (True, True, True)

    def test_norms_are_the_same_without_the_one_pass(self, monkeypatch):
        tensors = [torch.tensor([3.0, 4.0]), torch.tensor([1e-25])]
        one_pass = [float(norm) for norm in torch_internals.norms(tensors)]
        monkeypatch.setattr(torch_internals, "_foreach_norm", None)
        assert [float(norm) for norm in torch_internals.norms(tensors)] == one_pass == [5.0, pytest.approx(1e-25)]

    def test_bases_that_are_gone_leave_the_public_classes(self):
        assert torch_internals._shared("batchnorm", "_Gone", nn.BatchNorm2d) == (nn.BatchNorm2d,)
        assert isinstance(nn.LazyBatchNorm1d(), torch_internals.BATCH_NORMS)
        assert isinstance(nn.InstanceNorm1d(2), torch_internals.NORMS)
        assert not isinstance(nn.InstanceNorm1d(2), torch_internals.BATCH_NORMS)
        assert isinstance(nn.ConvTranspose2d(1, 1, 1), torch_internals.CONVS)

    def test_a_batch_of_one_is_asked_of_torch_where_the_check_is_gone(self, monkeypatch):
        model = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4))
        known = skipstone.legal_sizes(model, ("n", 3, 8, 8)).rule
        assert known == "n >= 2"
        monkeypatch.setattr("skipstone.sizes.known.verify_batch_size", None)
        assert skipstone.legal_sizes(model, ("n", 3, 8, 8)).rule == known

    def test_no_transform_is_seen_without_functorch(self, monkeypatch):
        seen = []
        torch.vmap(lambda x: seen.append(torch_internals.unwrapped(x)) or x)(torch.zeros(2, 3))
        assert seen[0].shape == (2, 3)
        monkeypatch.setattr(torch_internals, "_is_wrapped", None)
        torch.vmap(lambda x: seen.append(torch_internals.unwrapped(x)) or x)(torch.zeros(2, 3))
        assert seen[1] is None

    def test_no_backward_is_seen_without_its_number(self, monkeypatch):
        seen = []
        x = torch.zeros(2, requires_grad=True)

        def run():
            y = x * 2
            y.register_hook(lambda _: seen.append(torch_internals.in_backward()))
            y.sum().backward()

        run()
        monkeypatch.setattr(torch_internals, "_graph_task", None)
        run()
        assert seen == [True, False]
        assert not torch_internals.in_backward()


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d, nn.Conv3d])
def test_a_window_larger_than_its_input_is_refused(kind):
    shape = (2, 3, *[4] * int(kind.__name__[-2]))
    (failure,) = skipstone.trace(kind(3, 3, 5), shape).failures
    assert failure.failure.error == "RuntimeError"
    assert "Kernel size can't be greater than actual input size" in failure.failure.message
    assert skipstone.legal_sizes(kind(3, 3, 4), (*shape[:-1], "w"), w=range(1, 9)).legal == {4, 5, 6, 7, 8}


def test_an_empty_map_is_refused_where_torch_makes_one():
    with pytest.raises(RuntimeError, match="Kernel size can't be greater") as caught:
        torch_internals.refuse_as_kernels("conv2d", torch.empty(1, 1, 0, 7))
    assert type(caught.value).__name__ == "RuntimeError"
    torch_internals.refuse_as_kernels("conv2d", torch.empty(0, 1, 1, 7))
    torch_internals.refuse_as_kernels("relu", torch.empty(0))


class TestGenerators:
    def test_a_copy_of_a_generator_goes_on_where_it_stood_and_leaves_it(self):
        class Noise:
            def __init__(self):
                self.generator = torch.Generator().manual_seed(3)
                self.scale = torch.ones(2)

        noise = Noise()
        twin = torch_internals.copied({"noise": [noise]}, torch_internals.fake_mode(), {})["noise"][0]
        assert isinstance(twin.scale, torch_internals.FakeTensor)
        assert twin.generator is not noise.generator
        drawn = torch.rand(3, generator=twin.generator)
        assert torch.equal(drawn, torch.rand(3, generator=torch.Generator().manual_seed(3)))
        assert torch.equal(drawn, torch.rand(3, generator=noise.generator))

    def test_how_the_process_copies_generators_is_as_before(self):
        import copyreg

        before = dict(copyreg.dispatch_table)
        torch_internals.copied(torch.Generator(), torch_internals.fake_mode(), {})
        assert copyreg.dispatch_table == before
        mine = lambda generator: (torch.Generator, ())  # noqa: E731
        copyreg.dispatch_table[torch.Generator] = mine
        try:
            torch_internals.copied(torch.Generator(), torch_internals.fake_mode(), {})
            assert copyreg.dispatch_table[torch.Generator] is mine
        finally:
            del copyreg.dispatch_table[torch.Generator]

    def test_a_network_that_holds_a_generator_is_recorded(self):
        class Noisy(nn.Module):
            def __init__(self):
                super().__init__()
                self.generator = torch.Generator().manual_seed(3)
                self.holder = type("Holder", (), {})()
                self.holder.generator = self.generator

            def forward(self, x):
                self.holder.generator.manual_seed(9)
                return x + torch.rand(x.shape, generator=self.generator)

        model = Noisy()
        graph = skipstone.trace(model, (2, 3))
        assert graph.stopped is None
        assert [node.op for node in graph][-1] == "add"
        assert model.generator.initial_seed() == 3
