"""Bypassed forward: a module's children run in a row, past the forward that holds their skip connection.

What it finds:
    A `Sequential` made of the children of another module of the network, which is itself never called, and whose own
    forward adds skips that the row of its children does not have. Proven by recording that module by itself.
Why it matters:
    `nn.Sequential(*block.children())` runs the layers and loses everything between them.
Example:
    `nn.Sequential(*self.block.children())` of a residual block.
Repair:
    Call the module itself.
Effect of the repair:
    The skips return: another function, the one that its weights were trained for.
References:
    PyTorch documentation, Module.children.
"""

from collections.abc import Iterator

from torch import nn

from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.skips import find_skips
from skipstone.tracing import trace


def check(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    called = {call.path for call in graph.calls}
    rows = [
        call for call in graph.calls if type(subject.model.get_submodule(call.path)) is nn.Sequential and call.inputs
    ]
    if not rows:
        return
    idle = [(path, module) for path, module in subject.model.named_modules() if path and _is_idle(module, path, called)]
    for path, module in idle:
        children = list(module.children())
        for call in rows:
            row = list(subject.model.get_submodule(call.path))  # type: ignore[call-overload]
            if len(row) < 2 or row != children[: len(row)]:
                continue
            lost = _own_skips(module, graph[call.inputs[0]].shape)
            if lost:
                kind = type(module).__name__
                message = f"{call.path} runs the children of {path} in a row: {lost} of {kind}'s skips are lost"
                shapes = tuple(graph[i].shape for i in (*call.inputs[:1], *call.outputs[:1]))
                yield Finding(
                    "", "", "warning", message, call.path, call.place, shapes, call.first, data={"module": path}
                )


def _is_idle(module: nn.Module, path: str, called: set[str]) -> bool:
    container = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    return path not in called and not container and len(list(module.children())) > 1


def _own_skips(module: nn.Module, shape: tuple[int, ...]) -> int:
    """How many skips the module's own forward makes on this input."""
    graph = trace(module, shape)
    return sum(skip.is_block_skip and skip.module == "" for skip in find_skips(graph))
