"""Every operation knows where it was called: the user's file, line and columns, the module, the calls around it."""

import inspect
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from skipstone.core.graph import Place
from skipstone.tracing import trace


def text_at(place: Place) -> str:
    """The source between the ends of a place; columns count bytes, as `ast` does."""
    lines = Path(place.file).read_text().splitlines()[place.line - 1 : place.end_line]
    lines[-1] = lines[-1].encode()[: place.end_column].decode()
    lines[0] = lines[0].encode()[place.column :].decode()
    return " ".join(line.strip() for line in lines)


def helper(x, y):
    return torch.add(x, y)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        ü = self.conv(x); y = x + ü  # fmt: skip  # noqa: E702 - two calls on a line, behind a two-byte letter
        z = torch.cat(
            [x, y],
            dim=1,
        )
        y += x
        y = helper(x, y)
        return F.relu(z), y.mean((2, 3)), y[:, :2]


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x):
        for block in self.blocks:
            block(x)
        return self.blocks[0](x)


def test_the_span_of_each_operation() -> None:
    graph = trace(Block(), (2, 3, 8, 8))
    spans = {node.op: text_at(node.place) for node in graph if node.kind == "op" and node.op != "add"}
    assert spans == {
        "conv2d": "self.conv(x)",
        "cat": "torch.cat( [x, y], dim=1, )",
        "relu": "F.relu(z)",
        "mean": "y.mean((2, 3))",
        "getitem": "y[:, :2]",
    }
    assert [text_at(node.place) for node in graph if node.op == "add"] == ["x + ü", "y += x", "torch.add(x, y)"]


def test_line_file_function_and_site() -> None:
    graph = trace(Block(), (2, 3, 8, 8))
    conv = next(node for node in graph if node.op == "conv2d")
    line = inspect.getsourcelines(Block.forward)[1] + 1
    assert (conv.place.file, conv.place.line, conv.place.function) == (__file__, line, "Block.forward")
    assert conv.site.file.endswith("torch/nn/modules/conv.py")
    assert text_at(conv.site).startswith("F.conv2d(")
    added = [node for node in graph if node.op == "add"][-1]
    assert added.place.function == "helper"
    assert added.place == added.site


def test_modules_and_their_calls() -> None:
    graph = trace(Outer(), (2, 3, 8, 8))
    convs = [node for node in graph if node.op == "conv2d"]
    assert [node.module for node in convs] == ["blocks.0.conv", "blocks.1.conv", "blocks.0.conv"]
    calls = [graph.calls[graph.calls[node.call].parent] for node in convs]
    assert [(call.path, call.occurrence) for call in calls] == [("blocks.0", 0), ("blocks.1", 0), ("blocks.0", 1)]
    assert all(call.completed and graph.calls[call.parent].path == "" for call in calls)
    assert [text_at(call.place) for call in calls] == ["block(x)", "block(x)", "self.blocks[0](x)"]
    assert all(call.first <= node.index < call.last for call, node in zip(calls, convs, strict=True))
    assert all(call.inputs == graph.inputs for call in calls)
    assert graph[calls[0].outputs[0]].op == "relu"


def test_a_module_knows_its_source_and_settings() -> None:
    info = trace(Outer(), (2, 3, 8, 8)).modules
    assert set(info) == {"", "blocks", "blocks.0", "blocks.0.conv", "blocks.1", "blocks.1.conv"}
    assert (info["blocks.0"].type, info["blocks.0"].file) == ("Block", __file__)
    assert info["blocks.0"].line == inspect.getsourcelines(Block.forward)[1]
    assert info["blocks.0.conv"].settings.startswith("3, 3, kernel_size=(3, 3)")


def test_a_model_of_torch_alone_has_sites_and_no_places() -> None:
    graph = trace(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), (2, 5, 16))
    adds = [node for node in graph if node.op == "add"]
    assert [node.place for node in adds] == [None, None]
    assert all(node.site.file.endswith("torch/nn/modules/transformer.py") for node in adds)
