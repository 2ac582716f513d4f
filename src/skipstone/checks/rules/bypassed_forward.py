"""Bypassed forward: a module's children run in a row, past the forward that holds their skip connection.

What it finds:
    A `Sequential` made of the children of another module of the network, or a loop over them, where that module is
    itself never called and its own forward adds skips that the row of its children does not have. Proven by recording
    that module by itself.
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
from itertools import pairwise

from torch import nn

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, ModuleCall
from skipstone.skips import find_skips
from skipstone.tracing import trace

RULE = Rule("SK211", "bypassed-forward", "warning", "a module's children run in a row, past its own forward")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    called = {call.path for call in graph.calls}
    rows = [call for call in graph.calls if type(subject.module_at(call.path)) is nn.Sequential and call.inputs]
    idle = [(path, module) for path, module in subject.modules.items() if path and _is_idle(module, path, called)]
    for path, module in idle:
        children = list(module.children())
        chain = _chain(graph, [f"{path}.{name}" for name, _ in module.named_children()])
        if (
            chain
            and not _restored(subject, chain[0], chain[-1])
            and (lost := _own_skips(module, graph[chain[0].inputs[0]].shape))
        ):
            runner = graph.calls[chain[0].parent].path
            kind = type(module).__name__
            message = (
                f"{runner or 'the network'} runs the children of {path} in a row: {lost} of {kind}'s skips are lost"
            )
            shapes = tuple(graph[i].shape for i in (*chain[0].inputs[:1], *chain[-1].outputs[:1]))
            yield Fault(Where(chain[0].first, runner, chain[0].place), message, shapes)
        for call in rows:
            row = list(subject.module_at(call.path))  # type: ignore[call-overload]
            if len(row) < 2 or row != children[: len(row)] or _restored(subject, call, call):
                continue
            lost = _own_skips(module, graph[call.inputs[0]].shape)
            if lost:
                kind = type(module).__name__
                message = f"{call.path} runs the children of {path} in a row: {lost} of {kind}'s skips are lost"
                shapes = tuple(graph[i].shape for i in (*call.inputs[:1], *call.outputs[:1]))
                yield Fault(Where(call.first, call.path, call.place), message, shapes)


def _chain(graph: Graph, paths: list[str]) -> list[ModuleCall]:
    """The calls of all these modules, where one forward runs each once, in order, on the result of the one before."""
    calls = [call for call in graph.calls if call.path in paths]
    if [call.path for call in calls] != paths or len({call.parent for call in calls}) != 1 or calls[0].parent < 0:
        return []
    if not all(call.inputs and call.outputs for call in calls):
        return []
    linked = all(set(one.outputs) & set(two.inputs) for one, two in pairwise(calls))
    read_once = all(len(graph.users[call.outputs[0]]) == 1 for call in calls[:-1])
    return calls if linked and read_once else []


def _restored(subject: Subject, first: ModuleCall, last: ModuleCall) -> bool:
    """Does the network add a skip of its own around the row?"""
    graph, leads_to = subject.graph, subject.ancestry.leads_to
    return any(
        skip.is_block_skip
        and any(node in (*skip.main, skip.main_operand) for node in last.outputs)
        and leads_to(first.inputs[0], skip.short_operand)
        and graph[skip.merge_node].call == first.parent
        for skip in subject.skips
    )


def _is_idle(module: nn.Module, path: str, called: set[str]) -> bool:
    container = isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)
    return path not in called and not container and len(list(module.children())) > 1


def _own_skips(module: nn.Module, shape: tuple[int, ...]) -> int:
    """How many skips the module's own forward makes on this input."""
    graph = trace(module, shape)
    return sum(skip.is_block_skip and skip.module == "" for skip in find_skips(graph))
