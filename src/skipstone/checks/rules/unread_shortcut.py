"""Unread shortcut: the forward pass keeps its input for a skip connection and never uses it.

What it finds:
    A local name such as `identity`, `residual`, `shortcut` or `skip` that a forward assigns and no line of it reads;
    and a module of such a name that `__init__` makes and no method of the class reads or runs. And a shortcut that
    reads the end of the branch that it is added to, `h + self.shortcut(h)`: told by the module's name, or where it is a
    pointwise layer on a layer's own result, of another width than the block's input, which is added nowhere.
Why it matters:
    The block returns its branch alone: the skip connection that the code prepares is not there.
Example:
    `identity = x; out = self.bn2(self.conv2(self.conv1(x))); return self.relu(out)`.
Repair:
    Add the name to the branch before it is returned, or delete the line.
Effect of the repair:
    The block becomes residual: another function. Deleting the line changes nothing.
References:
    He et al. 2015, Deep Residual Learning for Image Recognition, 1512.03385, section 3.2.
"""

import ast
from collections.abc import Iterator

from torch import nn

from skipstone.checks.around import back, met, owner_call, same_values
from skipstone.checks.rule import Fault, Rule, Where, at
from skipstone.checks.source import method, place_of
from skipstone.checks.subject import Subject
from skipstone.core.graph import ModuleCall, Node
from skipstone.graphs.kinds import is_pointwise
from skipstone.graphs.roles import NORM, TRANSPARENT

RULE = Rule("SK208", "unread-shortcut", "warning", "a forward keeps its input for a skip connection and never uses it")
_NAMES = ("identity", "residual", "shortcut", "skip")
_MODULES = frozenset((*_NAMES, "downsample", "skip_conv", "res_conv", "shortcut_conv", "skip_connection"))
_READS_ALL = frozenset(("locals", "vars", "eval", "exec"))


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    judged: set[type[nn.Module]] = set()
    for call in graph.calls:
        kind = type(subject.module_at(call.path))
        if kind in judged:
            continue
        judged.add(kind)
        if call.first == call.last:
            continue
        shapes = tuple(graph[i].shape for i in (*call.inputs[:1], *call.outputs[:1]))
        found = _unread(kind)
        if found is not None:
            name, statement = found
            message = f"`{name}` is kept for a skip connection and never used: {kind.__name__} returns its branch alone"
            place = place_of(kind, "forward", statement)
            yield Fault(Where(call.first, call.path, place), message, shapes)
        idle = _never_run(subject, call.path)
        if idle is not None:
            message = (
                f"`self.{idle}` is made for a skip connection and never run: {kind.__name__} returns its branch alone"
            )
            node = subject.graph[call.first]
            yield Fault(Where(call.first, call.path, node.place), message, shapes)
    yield from _of_the_branch(subject)


def _of_the_branch(subject: Subject) -> Iterator[Fault]:
    """Shortcuts that read the branch's own end: `h + W h`, while nothing of the block's input is added."""
    graph = subject.graph
    for skip in subject.skips:
        merge = graph[skip.merge_node]
        owner = owner_call(graph, merge)
        if owner < 0:
            continue  # no call was seen: a scripted network runs as one
        block = graph.calls[owner]
        if skip.kind != "identity" or skip.merge != "add" or merge.tainted or not block.inputs:
            continue
        end = same_values(graph, skip.short_operand)
        layers = [graph[i] for i in skip.main if subject.ancestry.layers[i]]
        others = [graph[i].op for i in skip.main if not subject.ancestry.layers[i]]
        straight = len(layers) == 1 and set(others) <= TRANSPARENT | NORM
        if not straight or not _made_in(subject, block, end):
            continue
        named = any(name.strip("_0123456789") in _MODULES for name in layers[0].module.split("."))
        if named or _widens(subject, block, end, layers[0]):
            message = (
                f"the shortcut {layers[0].module or layers[0].op} reads the end of the branch that it is added to: "
                "nothing of the block's input is added"
            )
            yield Fault(at(merge, place=layers[0].place), message, met(graph, merge), cause=message)


def _made_in(subject: Subject, block: ModuleCall, end: int) -> bool:
    """Did two layers or more of the block make a tensor of the block's input, which no skip of the block adds?"""
    ancestry = subject.ancestry
    within = [i for i in range(block.first, end + 1) if ancestry.layers[i] and ancestry.leads_to(i, end)]
    added = any(
        other.is_block_skip and block.first <= other.merge_node < block.last and other.source_node < block.first
        for other in subject.skips
    )
    return len(within) > 1 and not added and any(ancestry.leads_to(i, end) for i in block.inputs)


def _widens(subject: Subject, block: ModuleCall, end: int, layer: Node) -> bool:
    """Is it a pointwise layer right on a layer's result, where the block's input has another width?"""
    graph, layout = subject.graph, subject.layout
    maker = graph[back(graph, end, lambda node: node.op in TRANSPARENT | NORM)]
    given = block.inputs[0]
    if not subject.ancestry.layers[maker.index] or not is_pointwise(graph, layer):
        return False
    axes = [layout.feature_axis(i) for i in (given, end)]
    if None in axes or len(graph[given].shape) != len(graph[end].shape):
        return False
    return graph[given].shape[axes[0] or 0] != graph[end].shape[axes[1] or 0]


def _never_run(subject: Subject, path: str) -> str | None:
    """A shortcut's module that no record runs and no method of its class but `__init__` mentions."""
    module = subject.module_at(path)
    kind = type(module)
    for name, child in module.named_children():
        if name not in _MODULES or child is None:
            continue
        if any(call.path == f"{path}.{name}".lstrip(".") for call in subject.graph.calls):
            continue
        if any(skip.module == path for skip in subject.skips) or kind.__module__.startswith("torch."):
            continue  # another skip stands in its place
        own = [
            method(kind, other) for other in dir(kind) if callable(getattr(kind, other, None)) and other != "__init__"
        ]
        texts = [ast.dump(tree) for tree in own if tree is not None]
        if method(kind, "forward") is not None and not any(f"'{name}'" in text or "getattr" in text for text in texts):
            return name
    return None


def _unread(kind: type[nn.Module]) -> tuple[str, ast.Assign] | None:
    """A shortcut's name that is assigned and never read, with its assignment."""
    forward = method(kind, "forward")
    if forward is None:
        return None
    names = [node for node in ast.walk(forward) if isinstance(node, ast.Name)]
    read = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    augmented = {
        n.target.id for n in ast.walk(forward) if isinstance(n, ast.AugAssign) and isinstance(n.target, ast.Name)
    }
    shared = {name for n in ast.walk(forward) if isinstance(n, ast.Global | ast.Nonlocal) for name in n.names}
    if read & _READS_ALL:
        return None
    for node in ast.walk(forward):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            computed = any(isinstance(part, ast.Attribute) and _is_self(forward, part) for part in ast.walk(node.value))
            if name.strip("_0123456789") in _NAMES and name not in read | augmented | shared and not computed:
                return name, node
    return None


def _is_self(forward: ast.FunctionDef, part: ast.Attribute) -> bool:
    """Is a module asked for the value? What layers compute and nobody reads is dead computation."""
    return isinstance(part.value, ast.Name) and bool(forward.args.args) and part.value.id == forward.args.args[0].arg
