"""A connection between two layers of one module, written into that module's forward.

y = self.a(x)            y = (skip := self.a(x))
z = self.c(y)     ->     z = (self.c(y) + self.skipstone_gain * skip)
"""

import ast

from torch import nn

from skipstone.core.edit import Connect
from skipstone.surgery.live import modules
from skipstone.surgery.live.edited import base_class, stages_of
from skipstone.surgery.source.constructors import class_function, source_file, spec_code
from skipstone.surgery.source.expressions import UncertainError
from skipstone.surgery.source.file import SourceFile

_NOT_ONE_TENSOR = (nn.RNNBase, nn.MultiheadAttention, nn.Sequential, nn.ModuleList, nn.ModuleDict)
_NESTING = (
    ast.For, ast.While, ast.If, ast.IfExp, ast.Lambda, ast.FunctionDef, ast.Try, ast.With, ast.ListComp,
    ast.GeneratorExp, ast.DictComp, ast.SetComp, ast.BoolOp,
)  # fmt: skip


def note_connection(model: nn.Module, edit: Connect, files: dict[str, SourceFile]) -> None:
    """Note a `Connect` in the source.

    Raises:
        UncertainError: its ends are not two layers that one forward calls once each, in a straight line.
    """
    holder_path, _, source_name = edit.source.rpartition(".")
    other_path, _, target_name = edit.target.rpartition(".")
    if not edit.source or holder_path != other_path or edit.merge != "add":
        raise UncertainError("the skip does not add one layer of a module to another one of it")
    if edit.source_occurrence is not None or edit.target_occurrence is not None or edit.clone:
        raise UncertainError("an end of the skip runs several times, or is overwritten later")
    for path in (edit.source, edit.target):
        layer = modules.find(model, path)
        if not type(layer).__module__.startswith("torch.nn.") or isinstance(layer, _NOT_ONE_TENSOR):
            raise UncertainError(f"whether {path} gives one tensor is not certain")
    file, names, forward, init, body = _class_of(model, holder_path, files)
    source, target = (_one_call(file, body, forward, name) for name in (source_name, target_name))
    _check_order(file, forward, source, target)
    me = forward.args.args[0].arg
    taken = {node.id for node in ast.walk(forward) if isinstance(node, ast.Name)} | names.keys()
    skip = next(name for name in ("skip", *(f"skip_{k}" for k in range(2, 99))) if name not in taken)
    added, made = _shortcut(edit, me, skip, names, modules.find(model, holder_path))
    file.replace(source, lambda render: f"({skip} := {render(source)})")
    file.replace(target, lambda render: f"({render(target)} + {added})")
    file.insert_after(init.body[-1], made)


def _shortcut(edit: Connect, me: str, skip: str, names: dict[str, object], holder: nn.Module) -> tuple[str, list[str]]:
    """The text of what is added, and the lines that make its layers in the constructor."""
    made: list[str] = []
    added = skip
    for name in ("skipstone_shortcut", "skipstone_gain"):
        if hasattr(holder, name):
            raise UncertainError(f"the module has an attribute {name} already")
    if edit.shortcut is not None:
        made.append(f"{me}.skipstone_shortcut = {spec_code(edit.shortcut, names)}")
        added = f"{me}.skipstone_shortcut({skip})"
    if edit.at_init == "zero":
        if names.get("nn") is not nn or "torch" not in names:
            raise UncertainError("the file has no names for torch and torch.nn")
        made.append(f"{me}.skipstone_gain = nn.Parameter(torch.zeros(()))")
        added = f"{me}.skipstone_gain * {added}"
    return added, made


def _class_of(
    model: nn.Module, path: str, files: dict[str, SourceFile]
) -> tuple[SourceFile, dict[str, object], ast.FunctionDef, ast.FunctionDef, ast.ClassDef]:
    holder = modules.find(model, path)
    owner = base_class(holder)
    alike = [p for p, module in model.named_modules() if isinstance(module, owner)]
    if alike != [path] or stages_of(holder):
        raise UncertainError(f"{', '.join(p or 'the model' for p in alike)} share the class {owner.__name__}")
    forward, init = (vars(owner).get(name) for name in ("forward", "__init__"))
    if not hasattr(forward, "__code__") or not hasattr(init, "__code__"):
        raise UncertainError(f"{owner.__name__} has no forward and constructor of its own")
    code = forward.__code__  # type: ignore[union-attr]
    file = source_file(code.co_filename, files)
    written = class_function(file, owner, "forward", code.co_firstlineno)
    made = class_function(file, owner, "__init__", init.__code__.co_firstlineno)  # type: ignore[union-attr]
    if any(isinstance(node, ast.Return) for node in ast.walk(made)):
        raise UncertainError(f"the constructor of {owner.__name__} does not run to its last line")
    body = file.parents[written]
    assert isinstance(body, ast.ClassDef)
    return file, forward.__globals__, written, made, body  # type: ignore[union-attr]


def _one_call(file: SourceFile, body: ast.ClassDef, forward: ast.FunctionDef, name: str) -> ast.Call:
    """The only place where the class uses a layer: a call in its forward, run once each time."""
    uses = [
        node
        for node in ast.walk(body)
        if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Load)
    ]
    calls = [file.parents[node] for node in uses]
    if len(calls) != 1 or not isinstance(calls[0], ast.Call) or calls[0].func is not uses[0]:
        raise UncertainError(f"{name} is not called in one place")
    node: ast.AST = calls[0]
    while node is not forward:
        node = file.parents.get(node, body)
        if node is body or (isinstance(node, _NESTING) and node is not forward):
            raise UncertainError(f"the call of {name} does not run once each time")
    return calls[0]


def _check_order(file: SourceFile, forward: ast.FunctionDef, source: ast.Call, target: ast.Call) -> None:
    first, second = file.statement_of(source), file.statement_of(target)
    before = forward.body.index(first) < forward.body.index(second) if first is not second else _within(source, target)
    returned = [node for node in forward.body if isinstance(node, ast.Return)]
    if not before or len(returned) != 1:
        raise UncertainError("which of the two layers runs first is not certain")


def _within(inner: ast.Call, outer: ast.Call) -> bool:
    return any(node is inner for argument in (*outer.args, *outer.keywords) for node in ast.walk(argument))
