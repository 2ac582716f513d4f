"""What a class's own source says is meant: state that a method resets or a flag turns on, noise that a switch guards.

A false alarm is worse than a missed fault: wherever the text may be read as meaning it, these answer yes, and where
there is no text as well.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from skipstone.checks.source import method
from skipstone.core.sources import read_source

_RESETS = re.compile(
    r"reset(?!_param)|clear|detach|repackage|flush|zero_state|begin_|init_?(hidden|state|mem|cache|h|c)$|init_?(hidden|state)"
    r"|(hidden|state|mem|cache)s?_?init",
    re.IGNORECASE,
)
_STATEFUL = re.compile(
    r"stateful|stream|online|spik|memor|queue|bank|cache|momentum|ema\b|moving|running"
    r"|(across|between|over) (calls|steps|batches|forwards?|sequences|chunks)|carrie|carry|persist"
    r"|previous (call|frame|step)",
    re.IGNORECASE,
)
_CHANGERS = frozenset("append extend insert add update setdefault pop popleft appendleft clear remove".split())


@dataclass(frozen=True, slots=True)
class Write:
    """A statement that writes to an attribute of `self`: the method it stands in, and the tests it stands under."""

    method: str
    statement: ast.stmt
    tests: tuple[ast.expr, ...]
    value: ast.expr | None


def own_methods(kind: type[nn.Module]) -> Mapping[str, ast.FunctionDef]:
    """The methods of a class and of its bases below torch's, by name, as far as their source is known."""
    names = [
        name
        for base in kind.__mro__
        if base is not object and not base.__module__.startswith("torch.")
        for name, value in vars(base).items()
        if inspect.isfunction(value)
    ]
    found = {name: method(kind, name) for name in dict.fromkeys(names)}
    return {name: tree for name, tree in found.items() if tree is not None}


def called_by(kind: type[nn.Module], name: str = "forward") -> frozenset[str]:
    """A method and the methods of `self` that it calls, and those call."""
    methods, seen, pending = own_methods(kind), set[str](), [name]
    while pending:
        current = pending.pop()
        if current in methods and current not in seen:
            seen.add(current)
            pending.extend(
                node.attr
                for node in ast.walk(methods[current])
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
            )
    return frozenset(seen)


def writes(kind: type[nn.Module], attribute: str) -> list[Write]:
    """Where a class's methods write to `self.<attribute>`, in the order of the source."""
    return [
        Write(name, statement, tests, value)
        for name, tree in own_methods(kind).items()
        for statement, tests in _statements(tree.body, ())
        for value in _written(statement, attribute)
    ]


def keeps_on_purpose(module: nn.Module, attribute: str) -> bool:
    """May a module mean to hold `attribute` from one call to the next?

    Yes where a method that `forward` does not call writes or resets it, where something else in the file does, where a
    switch or an argument guards it, where a name or docstring says so, where a recurrent network detaches it.
    """
    kind = type(module)
    methods, running = own_methods(kind), called_by(kind)
    if "forward" not in methods or _STATEFUL.search(text_about(kind)) or _STATEFUL.search(attribute):
        return True
    others = methods.keys() - running - {"__init__"}
    if any(_RESETS.search(name) for name in others) or _written_outside(kind, attribute):
        return True
    found = writes(kind, attribute)
    if any(write.method in others for write in found):
        return True
    arguments = _arguments(methods["forward"])
    if attribute.strip("_") in arguments:
        return True
    inside = [write for write in found if write.method in running]
    if any(_is_switch(module, test, attribute, arguments) for write in inside for test in write.tests):
        return True
    return _is_recurrent(module) and any(_detaches(write.value) for write in inside)


def is_switched(module: nn.Module, line: int) -> bool:
    """Does what stands in a line of the module's methods run under a switch: an argument, or an attribute that is true
    or false? The mode (`self.training`) is none."""
    for tree in own_methods(type(module)).values():
        for statement, tests in _statements(tree.body, ()):
            if statement.lineno <= line <= (statement.end_lineno or statement.lineno) and any(
                _is_switch(module, test, "", _arguments(tree)) for test in (*tests, *_inner_tests(statement))
            ):
                return True
    return False


def text_about(kind: type) -> str:
    """The names and docstrings of a class and its bases below torch's."""
    bases = [base for base in kind.__mro__ if base is not object and not base.__module__.startswith("torch.")]
    forward = getattr(kind, "forward", None)
    return " ".join(
        [*(f"{base.__name__} {base.__doc__ or ''}" for base in bases), getattr(forward, "__doc__", None) or ""]
    )


def _statements(body: list[ast.stmt], tests: tuple[ast.expr, ...]) -> Iterator[tuple[ast.stmt, tuple[ast.expr, ...]]]:
    """The simple statements of a body, each with the tests of the `if`s around it."""
    for statement in body:
        inner = (*tests, statement.test) if isinstance(statement, ast.If) else tests
        blocks = [
            block
            for name in ("body", "orelse", "finalbody")
            if isinstance(block := getattr(statement, name, None), list)
        ]
        if blocks and not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            for block in blocks:
                yield from _statements(block, inner)
        else:
            yield statement, tests


def _inner_tests(statement: ast.stmt) -> list[ast.expr]:
    return [node.test for node in ast.walk(statement) if isinstance(node, ast.IfExp)]


def _written(statement: ast.stmt, attribute: str) -> Iterator[ast.expr | None]:
    """What a statement writes to `self.<attribute>`; once for each time it does."""
    if isinstance(statement, ast.Assign):
        for target in statement.targets:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            yield from (statement.value for part in parts if _is_of(part, attribute))
    elif isinstance(statement, ast.AugAssign | ast.AnnAssign) and _is_of(statement.target, attribute):
        yield statement.value
    elif isinstance(statement, ast.Delete):
        yield from (None for target in statement.targets if _is_of(target, attribute))
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_of(node.func.value, attribute):
            name = node.func.attr
            if name in _CHANGERS or (name.endswith("_") and not name.startswith("_")):
                yield node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
            yield node  # whatever its name is


def _is_of(target: ast.expr, attribute: str) -> bool:
    """Is it `self.<attribute>`, or an item or an attribute of that?"""
    while isinstance(target, ast.Subscript | ast.Starred | ast.Attribute):
        if isinstance(target, ast.Attribute) and target.attr == attribute and _is_self(target.value):
            return True
        target = target.value
    return False


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _written_outside(kind: type, attribute: str) -> bool:
    """Does the class's file write to an attribute of this name on anything but `self`?"""
    try:
        tree = ast.parse(read_source(inspect.getfile(kind)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return True
    named = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == attribute)
    return any(isinstance(node.ctx, ast.Store | ast.Del) and not _is_self(node.value) for node in named)


def _arguments(tree: ast.FunctionDef) -> frozenset[str]:
    given = tree.args
    return frozenset(argument.arg for argument in (*given.posonlyargs, *given.args[1:], *given.kwonlyargs))


def _is_switch(module: nn.Module, test: ast.expr, attribute: str, arguments: frozenset[str]) -> bool:
    """Does a test ask for an argument, or for an attribute that is true or false, as a whole?"""
    if isinstance(test, ast.BoolOp):
        return any(_is_switch(module, value, attribute, arguments) for value in test.values)
    if isinstance(test, ast.UnaryOp):
        return _is_switch(module, test.operand, attribute, arguments)
    if isinstance(test, ast.Compare):
        return _is_switch(module, test.left, attribute, arguments)
    if isinstance(test, ast.Name):
        return test.id in arguments
    if isinstance(test, ast.Attribute) and _is_self(test.value) and test.attr not in (attribute, "training"):
        return isinstance(getattr(module, test.attr, None), bool | str | None)
    return False


def _is_recurrent(module: nn.Module) -> bool:
    return any(isinstance(part, nn.RNNBase | nn.RNNCellBase) for part in module.modules())


def _detaches(value: ast.expr | None) -> bool:
    return value is not None and any(
        isinstance(node, ast.Attribute) and node.attr in ("detach", "detach_", "data") for node in ast.walk(value)
    )
