"""Nothing returned: a forward gives None, or a module, where a tensor is due.

What it finds:
    A module whose forward ended without a `return` (or returned a module instead of calling it), where the network
    returns that result, or stops at the line that uses it. Told at the module that forgot, not at the one that chokes.
    A method of its own that forward calls for its value, and that has no `return`, is told in the same way.
    Modules that are called for their effect alone, in a line of their own, are left alone.
Why it matters:
    Python returns None silently; the error comes one layer, or one loss, later and names another line.
Example:
    `def forward(self, x): out = F.relu(self.conv(x) + x)`.
Repair:
    Return the last value.
Effect of the repair:
    The layers behind get a tensor.
References:
    Python language reference, section 7.6 (the return statement).
"""

import ast
from collections.abc import Iterator

from torch import nn

from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.source import covers, method, place_of
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, ModuleCall, Place

RULE = Rule("SK113", "nothing-returned", "error", "a forward returns None or a module where a tensor is due")


def check(subject: Subject) -> Iterator[Fault]:
    call = forgetful(subject)
    if call is None:
        yield from _of_helper(subject)
        return
    kind = type(subject.module_at(call.path))
    what = "nothing" if call.returned == "NoneType" else f"a module ({call.returned}), not a tensor"
    why = _why(kind, call)
    shapes = tuple(subject.graph[i].shape for i in call.inputs[:1])
    place = _last_line(kind) or call.place
    yield Fault(Where(max(0, call.last - 1), call.path, place), f"{kind.__name__} returns {what}{why}", shapes)


def _of_helper(subject: Subject) -> Iterator[Fault]:
    stop, name = subject.graph.stopped, forgetful_helper(subject)
    if stop is None or name is None:
        return
    kind = type(subject.module_at(stop.module))
    helper = method(kind, name)
    place = place_of(kind, name, helper.body[-1]) if helper is not None else stop.place
    message = f"{kind.__name__}.{name} returns nothing: it has no `return`"
    yield Fault(Where(max(0, len(subject.graph) - 1), stop.module, place), message)


def forgetful_helper(subject: Subject) -> str | None:
    """The method without a `return` whose result the code takes up that stops at a None: its name."""
    stop = subject.graph.stopped
    if stop is None or not stop.own or "NoneType" not in stop.message or subject.graph.failures:
        return None
    kind = type(subject.module_at(stop.module))
    caller = _method_at(kind, stop.place)
    if caller is None:
        return None
    effects = {node.value for node in ast.walk(caller) if isinstance(node, ast.Expr)}
    called = [node for node in ast.walk(caller) if isinstance(node, ast.Call) and node not in effects]
    own = caller.args.args[0].arg if caller.args.args else ""
    names = [call.func.attr for call in called if isinstance(call.func, ast.Attribute) and _is(call.func.value, own)]
    helpers = [(name, method(kind, name)) for name in dict.fromkeys(names) if name in dir(kind)]
    empty = [name for name, helper in helpers if helper is not None and not _gives_value(helper)]
    return empty[0] if len(empty) == 1 else None


def _method_at(kind: type[nn.Module], place: Place | None) -> ast.FunctionDef | None:
    name = place.function.rpartition(".")[2] if place is not None else ""
    found = method(kind, name) if name in dir(kind) else None
    return found if found is not None and covers(place_of(kind, name, found), place) else None


def _is(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _gives_value(function: ast.FunctionDef) -> bool:
    yields = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))
    return yields or _returns_value(function)


def forgetful(subject: Subject) -> ModuleCall | None:
    """The call that gave None or a module, where the network's result or the stop of the record comes of it."""
    graph = subject.graph
    empty = [call for call in graph.calls if call.completed and _is_empty(graph, call)]
    if not empty:
        return None
    if graph.stopped is None:
        root = graph.calls[0]
        return _source(subject, root, empty) if root in empty else None
    if not any(f"{call.returned}" in graph.stopped.message for call in empty):
        return None
    behind = [call for call in empty if call.returned in graph.stopped.message and not _for_effect(subject, call)]
    return _source(subject, behind[-1], empty) if behind else None


def _is_empty(graph: Graph, call: ModuleCall) -> bool:
    if call.outputs:
        return False
    return call.returned == "NoneType" or call.returned in {info.type for info in graph.modules.values()}


def _source(subject: Subject, call: ModuleCall, empty: list[ModuleCall]) -> ModuleCall:
    """The call itself, or the one in it whose result it hands on."""
    forward = method(type(subject.module_at(call.path)), "forward")
    if forward is None or _returns_value(forward):
        inner = [c for c in empty if c.parent == call.index and c.returned == call.returned]
        if inner and not _for_effect(subject, inner[-1]):
            return _source(subject, inner[-1], empty)
    return call


def _returns_value(forward: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(forward))


def _for_effect(subject: Subject, call: ModuleCall) -> bool:
    """Is the call a statement of its own, whose result nobody takes up?"""
    if call.parent < 0 or call.place is None:
        return False
    kind = type(subject.module_at(subject.graph.calls[call.parent].path))
    forward = method(kind, "forward")
    return forward is not None and any(
        covers(place_of(kind, "forward", node), call.place) for node in ast.walk(forward) if isinstance(node, ast.Expr)
    )


def _why(kind: type[nn.Module], call: ModuleCall) -> str:
    forward = method(kind, "forward")
    if forward is None:
        return ""
    if call.returned != "NoneType":
        return ": call it"
    return ": its forward ends without `return` here" if _returns_value(forward) else ": its forward has no `return`"


def _last_line(kind: type[nn.Module]) -> Place | None:
    forward = method(kind, "forward")
    return place_of(kind, "forward", forward.body[-1]) if forward is not None else None
