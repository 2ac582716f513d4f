"""Where the source makes a module: the call in a constructor behind a dotted path.

`layer.0.conv` is `self.conv = nn.Conv2d(...)` in the class of `layer.0`; `short.1` the second layer written in
`self.short = nn.Sequential(...)`. Found only where exactly one such call exists and it makes that module for certain.
"""

import ast
import inspect
import sys
from types import ModuleType

from torch import nn

from skipstone.core.edit import ModuleSpec
from skipstone.surgery.live import modules
from skipstone.surgery.live.edited import base_class
from skipstone.surgery.source.expressions import UncertainError, literal, set_keyword
from skipstone.surgery.source.file import SourceFile


class Constructor:
    """The call that makes a module: its file, its node, the names known in the file, the class that holds it."""

    def __init__(self, file: SourceFile, call: ast.Call, names: dict[str, object], owner: type) -> None:
        self.file, self.call, self.names, self.owner = file, call, names, owner

    def arguments(self, kind: type) -> dict[str, ast.expr]:
        """The arguments that are written out, by name."""
        if any(isinstance(node, ast.Starred) for node in self.call.args) or any(
            k.arg is None for k in self.call.keywords
        ):
            raise UncertainError("the arguments are not written out in the call")
        named = dict(zip(inspect.signature(kind).parameters, self.call.args, strict=False))
        return named | {keyword.arg: keyword.value for keyword in self.call.keywords if keyword.arg is not None}

    def set(self, module: nn.Module, name: str, value: object) -> None:
        """Change one argument."""
        parameters = list(inspect.signature(type(module)).parameters)
        if name not in parameters:
            raise UncertainError(f"{name} is no argument of {type(module).__name__}")
        position = parameters.index(name)
        for node in [*self.call.args[position : position + 1], *(k.value for k in self.call.keywords if k.arg == name)]:
            if not _is_literal(node):
                raise UncertainError("the argument is computed from the constructor's own")
        set_keyword(self.file, self.call, name, value, position)

    def replace(self, spec: ModuleSpec) -> None:
        """Another layer in its place. One of the same class keeps its arguments where they are computed."""
        if any(not _is_literal(node) for node in (*self.call.args, *(k.value for k in self.call.keywords))):
            raise UncertainError("the arguments are computed from the constructor's own")
        code = spec_code(spec, self.names)
        self.file.replace(self.call, lambda render: code)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True


def holders_alike(model: nn.Module, path: str) -> list[str]:
    """The paths of every module whose class shares the constructor code of the module around `path`."""
    holder = modules.find(model, path.rpartition(".")[0])
    while isinstance(holder, nn.Sequential) and path.rpartition(".")[0]:
        path = path.rpartition(".")[0]
        holder = modules.find(model, path.rpartition(".")[0])
    own = base_class(holder)
    return [p for p, module in model.named_modules() if issubclass(base_class(module), own)]


def constructor_of(model: nn.Module, path: str, files: dict[str, SourceFile]) -> Constructor:
    """The constructor call of the module at `path`.

    Raises:
        UncertainError: there is none, or it cannot be told which.
    """
    module = modules.find(model, path)
    holder_path, _, name = path.rpartition(".")
    holder = modules.find(model, holder_path)
    if not path:
        raise UncertainError("the model itself is made elsewhere")
    if isinstance(holder, nn.Sequential) and base_class(holder) is not nn.Sequential:
        found = _in_a_row(holder, name, files)
    elif isinstance(holder, nn.Sequential) and holder_path:
        outer = constructor_of(model, holder_path, files)
        call = _listed(outer, name)
        found = Constructor(outer.file, call, outer.names, outer.owner)
    else:
        found = _assigned(holder, name, files)
    if _resolve(found.call.func, found.names) is not base_class(module):
        raise UncertainError(f"{ast.unparse(found.call.func)} does not surely make {path}")
    return found


def _in_a_row(holder: nn.Module, name: str, files: dict[str, SourceFile]) -> Constructor:
    """The layer that a class of the user's own hands to `super().__init__(...)` of a row of layers."""
    owner = base_class(holder)
    init = vars(owner).get("__init__")
    if init is None or not hasattr(init, "__code__"):
        raise UncertainError(f"{owner.__name__} has no constructor of its own")
    file = source_file(init.__code__.co_filename, files)
    definition = class_function(file, owner, "__init__", init.__code__.co_firstlineno)
    calls = [n for n in ast.walk(definition) if isinstance(n, ast.Call) and ast.unparse(n.func) == "super().__init__"]
    if len(calls) != 1 or not _runs_once(file, calls[0], definition):
        raise UncertainError(f"the layers of {owner.__name__} are not written out one by one")
    outer = Constructor(file, calls[0], init.__globals__, owner)
    return Constructor(file, _listed(outer, name), init.__globals__, owner)


def _listed(outer: Constructor, name: str) -> ast.Call:
    arguments = outer.call.args
    if any(not isinstance(argument, ast.Call) for argument in arguments) or outer.call.keywords:
        raise UncertainError("the layers are not written out one by one")
    if not name.isdigit() or int(name) >= len(arguments):
        raise UncertainError(f"there is no layer {name!r} written out")
    call = arguments[int(name)]
    assert isinstance(call, ast.Call)
    return call


def _assigned(holder: nn.Module, name: str, files: dict[str, SourceFile]) -> Constructor:
    """The one assignment `self.name = Layer(...)` in the constructors of the holder's class."""
    found: list[Constructor] = []
    for owner in base_class(holder).__mro__:
        init = vars(owner).get("__init__")
        if owner is nn.Module or init is None or not hasattr(init, "__code__"):
            continue
        file = source_file(init.__code__.co_filename, files)
        definition = class_function(file, owner, "__init__", init.__code__.co_firstlineno)
        for node in ast.walk(definition):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Tuple) and any(
                    _is_self(element, definition, name) for element in target.elts
                ):
                    raise UncertainError(f"{name} is assigned together with others")
                if _is_self(target, definition, name):
                    call = _one_call(node.value)  # type: ignore[attr-defined]
                    if call is None or not _runs_once(file, node, definition):
                        raise UncertainError(f"{name} is not made by one call")
                    found.append(Constructor(file, call, init.__globals__, owner))
    if len(found) != 1:
        raise UncertainError(f"{len(found)} assignments make {name!r}")
    return found[0]


def _one_call(value: ast.expr) -> ast.Call | None:
    """The call in `Layer(...)` or `Layer(...) if condition else None`."""
    if isinstance(value, ast.IfExp):
        calls = [branch for branch in (value.body, value.orelse) if isinstance(branch, ast.Call)]
        return calls[0] if len(calls) == 1 else None
    return value if isinstance(value, ast.Call) else None


def _is_self(target: ast.expr, definition: ast.FunctionDef, name: str) -> bool:
    first = definition.args.args[0].arg if definition.args.args else ""
    return (
        isinstance(target, ast.Attribute)
        and target.attr == name
        and isinstance(target.value, ast.Name)
        and target.value.id == first
    )


def _runs_once(file: SourceFile, node: ast.AST, definition: ast.FunctionDef) -> bool:
    while node is not definition:
        node = file.parents[node]
        if isinstance(node, ast.For | ast.While | ast.AsyncFor) or (
            isinstance(node, ast.FunctionDef | ast.Lambda) and node is not definition
        ):
            return False
    return True


def source_file(path: str, files: dict[str, SourceFile]) -> SourceFile:
    """A file of the user's, read once. Installed packages are not the user's to change."""
    if "site-packages" in path or "dist-packages" in path or path.startswith("<"):
        raise UncertainError(f"{path} is not a source file of this project")
    if path not in files:
        try:
            files[path] = SourceFile(path)
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            raise UncertainError(f"{path} cannot be read: {error}") from error
        if "\r" in files[path].text.replace("\r\n", ""):
            raise UncertainError(f"{path} has lines that end in a carriage return alone")
    return files[path]


def class_function(file: SourceFile, owner: type, name: str, line: int) -> ast.FunctionDef:
    """The definition of a method, checked against the line that Python remembers."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            parent = file.parents[node]
            if first == line and isinstance(parent, ast.ClassDef) and parent.name == owner.__name__:
                return node
    raise UncertainError(f"{owner.__name__}.{name} is not at {file.path}:{line} any more")


def _resolve(node: ast.expr, names: dict[str, object]) -> object:
    """What a dotted name stands for in a file."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    value = names[node.id]
    for part in reversed(parts):
        value = getattr(value, part, None)
    return value


def spec_code(spec: ModuleSpec, names: dict[str, object]) -> str:
    """A layer as source text, by the names that the file has for torch's."""
    if spec.code:
        if names.get("nn") is not nn:
            raise UncertainError("the file has no name `nn` for torch.nn")
        return spec.code
    prefix = _name_of(spec.type, names) if ":" in spec.type else f"{_name_of_nn(names)}.{spec.type}"
    parts = [spec_code(v, names) for v in spec.arguments.values() if isinstance(v, ModuleSpec)]
    parts += [f"{k}={literal(v)}" for k, v in spec.arguments.items() if not isinstance(v, ModuleSpec)]
    return f"{prefix}({', '.join(parts)})"


def _name_of(kind: str, names: dict[str, object]) -> str:
    """By which name the file reaches `package.module:Class`: its own, its module's, or its package's."""
    space, _, attribute = kind.rpartition(":")
    module = sys.modules.get(space)
    wanted = getattr(module, attribute, None)
    package, _, inner = space.partition(".")
    forms = (
        (attribute, wanted, attribute),
        (space.rpartition(".")[2], module, f"{space.rpartition('.')[2]}.{attribute}"),
        (package, sys.modules.get(package), f"{package}.{inner}.{attribute}"),
    )
    for name, value, written in forms:
        if value is not None and names.get(name) is value:
            return written
    raise UncertainError(f"the file does not import {kind}")


def _name_of_nn(names: dict[str, object]) -> str:
    for name, value in names.items():
        if value is nn:
            return name
    torch = names.get("torch")
    if isinstance(torch, ModuleType) and getattr(torch, "nn", None) is nn:
        return "torch.nn"
    raise UncertainError("the file has no name for torch.nn")
