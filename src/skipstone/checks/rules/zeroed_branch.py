"""Zeroed branch: a branch of a skip connection is multiplied by a constant zero.

What it finds:
    A shortcut or branch multiplied by the number 0, by a tensor attribute or buffer of zeros that is no parameter and
    that no other method sets, or made of zeros by a dropout with p = 1, before it is added. Parameters that start at
    zero learn and are left alone.
Why it matters:
    The addition adds nothing and the branch never learns.
Example:
    `self.gamma = torch.zeros(1)` (no `nn.Parameter`), `return x + self.gamma * self.body(x)`.
Repair:
    Make the factor an `nn.Parameter`, or give it the value it is meant to have.
Effect of the repair:
    A parameter that starts at zero keeps the outputs and lets the branch learn.
References:
    Bachlechner et al. 2020, ReZero is All You Need, 2003.04887, section 3 (the factor is learned).
"""

import ast
from collections.abc import Iterator

import torch
from torch import nn

from skipstone.checks.around import back, met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.source import method
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node
from skipstone.graphs.roles import TRANSPARENT

RULE = Rule("SK210", "zeroed-branch", "warning", "a branch of a skip connection is multiplied by a constant zero")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    for skip in subject.skips:
        merge = graph[skip.merge_node]
        if not skip.is_block_skip or skip.merge != "add" or merge.tainted:
            continue
        for name, path, other in (("shortcut", skip.shortcut, skip.main), ("branch", skip.main, skip.shortcut)):
            zero = next((i for i in reversed(path) if i not in other and _is_zero(subject, graph[i])), None)
            if zero is not None and not _fades(subject, other):
                where = f" at {graph[zero].place}" if graph[zero].place else ""
                message = f"the {name} is multiplied by a constant zero{where}: it adds nothing and never learns"
                yield Fault(at(merge), message, met(graph, merge))
                break


def _is_zero(subject: Subject, node: Node) -> bool:
    if node.op == "mul":
        other = node.arguments.get("other")
        if isinstance(other, int | float) and not isinstance(other, bool):
            return other == 0
        return any(_is_zero_tensor(subject, node, i) for i in node.inputs)
    if node.op.startswith("dropout"):
        return node.argument("p", 0.5) == 1 and node.argument("training", False) is True
    return False


def _is_zero_tensor(subject: Subject, node: Node, factor: int) -> bool:
    source = subject.graph[back(subject.graph, factor, lambda made: made.op in TRANSPARENT)]
    if source.kind == "constant":
        return _holds_zeros(subject, node, factor)
    if source.kind not in ("parameter", "buffer") or source.requires_grad or _is_set(subject, source):
        return False
    # Frozen at zero while the rest is trained; of a wholly frozen network (BYOL's target) it says nothing.
    stored = dict(subject.model.named_buffers() if source.kind == "buffer" else subject.model.named_parameters())
    tensor = stored.get(source.name)
    trained = any(parameter.requires_grad for parameter in subject.graph.parameters)
    return trained and tensor is not None and tensor.device.type != "meta" and not bool(tensor.any())


def _is_set(subject: Subject, stored: Node) -> bool:
    """Does anything but this factor read the tensor, or the network write to it: a switch, a schedule, a statistic?"""
    graph = subject.graph
    if len(graph.users[stored.index]) != 1 or any(node.overwrites == stored.index for node in graph):
        return True
    own = subject.module_at(stored.name.rpartition(".")[0])
    name = stored.name.rpartition(".")[2]
    others = [method(type(own), other) for other in vars(type(own)) if other not in ("__init__", "forward")]
    return any(f"attr='{name}'" in ast.dump(tree) for tree in others if tree is not None)


def _holds_zeros(subject: Subject, node: Node, factor: int) -> bool:
    """Is the factor a tensor that a module around the node keeps as a plain attribute, all zeros?"""
    graph = subject.graph
    shape = graph[factor].shape
    call = node.call
    while call >= 0:
        module = subject.module_at(graph.calls[call].path)
        fitting = [value for value in vars(module).values() if _is_plain(value) and tuple(value.shape) == shape]
        if fitting:
            return len(fitting) == 1 and fitting[0].device.type != "meta" and not bool(fitting[0].any())
        call = graph.calls[call].parent
    return False


def _is_plain(value: object) -> bool:
    return isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter) and not value.requires_grad


def _fades(subject: Subject, other: tuple[int, ...]) -> bool:
    """Is the other operand multiplied by exactly one: a fade `a * f(x) + (1 - a) * x` at its start?

    So a new resolution comes in while a GAN grows (ProGAN, 1710.10196, section 2).
    """
    return any(subject.graph[i].op == "mul" and subject.graph[i].arguments.get("other") in (1, 1.0) for i in other)
