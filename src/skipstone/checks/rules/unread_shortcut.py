"""Unread shortcut: the forward pass keeps its input for a skip connection and never uses it.

What it finds:
    A local name such as `identity`, `residual`, `shortcut` or `skip` that a forward assigns and no line of it reads;
    and a module of such a name that `__init__` makes and no method of the class reads or runs.
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

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.source import method, place_of
from skipstone.checks.subject import Subject

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


def _never_run(subject: Subject, path: str) -> str | None:
    """A shortcut's module that no record runs and no method of its class but `__init__` mentions."""
    module = subject.module_at(path)
    kind = type(module)
    for name, child in module.named_children():
        ran = any(call.path == f"{path}.{name}".lstrip(".") for call in subject.graph.calls)
        if name not in _MODULES or ran or child is None:
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
