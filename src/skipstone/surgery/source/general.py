"""A layer that some instances of a class need, written for all of them: by the constructor's own parameters.

`nn.Conv2d(64, 128, 1, stride=2)` for one block becomes, in the class of all blocks,

    self.shortcut = nn.Conv2d(in_ch, out_ch, 1, stride=stride) if in_ch != out_ch or stride != 1 else nn.Identity()

The parameters are those that the class writes into its own layers, and what they are in each instance the layers
tell. It is certain only where the condition holds in exactly the instances that need the layer.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import FunctionType

from torch import nn

from skipstone.core.edit import ModuleSpec
from skipstone.surgery.live import modules
from skipstone.surgery.source.constructors import Constructor, constructor_of, spec_code
from skipstone.surgery.source.expressions import UncertainError
from skipstone.surgery.source.file import SourceFile

_WIDTHS = {"in_channels": "out_channels", "in_features": "out_features"}
_READ = ("in_channels", "in_features", "num_features", "out_channels", "out_features")
_MADE = ("out_channels", "out_features", "num_features", "in_channels", "in_features")


@dataclass(frozen=True)
class _Written:
    """An argument of one of the class's layers: its text in the constructor, and its value in each instance."""

    argument: str
    text: str
    values: Mapping[str, object]


def general_code(model: nn.Module, owner: type, specs: Mapping[str, ModuleSpec], files: dict[str, SourceFile]) -> str:
    """The text that makes the layer in those instances of `owner` that `specs` names, and nothing in the others.

    Raises:
        UncertainError: the class has no parameters that tell them apart.
    """
    first = next(iter(specs.values()))
    wanted = next((name for name in _WIDTHS if name in first.arguments), None)
    if wanted is None or any(not _is_pointwise(spec) or spec.type != first.type for spec in specs.values()):
        raise UncertainError(f"{first} is not told by two widths and a stride")
    instances = [path for path, module in model.named_modules() if isinstance(module, owner)]
    written = list(_written(model, instances, next(iter(specs)), owner, files))
    before = _like(written, _READ, {path: spec.arguments[wanted] for path, spec in specs.items()})
    behind = _like(reversed(written), _MADE, {path: spec.arguments[_WIDTHS[wanted]] for path, spec in specs.items()})
    strides = _strides(written, specs)
    for one, two, stride in product(before, behind, strides):
        needs = {path for path in instances if one.values[path] != two.values[path] or _is_strided(stride, path)}
        if needs == set(specs):
            return _text(first, wanted, one, two, stride, _names(owner))
    raise UncertainError(f"no parameters of {owner.__name__} tell which of its instances need {first.type}")


def _is_pointwise(spec: ModuleSpec) -> bool:
    sizes = {"kernel_size": 1, "padding": 0, **spec.arguments}
    return _plain(sizes["kernel_size"]) == 1 and _plain(sizes["padding"]) == 0


def _plain(value: object) -> object:
    """One number for equal ones."""
    return value[0] if isinstance(value, tuple) and value and len(set(value)) == 1 else value


def _like(
    written: Iterator[_Written] | Sequence[_Written], names: Sequence[str], values: Mapping[str, object]
) -> list[_Written]:
    """The arguments that have these values in these instances, the likeliest kind of argument first."""
    fitting = [one for one in written if all(one.values[path] == value for path, value in values.items())]
    return sorted((one for one in fitting if one.argument in names), key=lambda one: names.index(one.argument))


def _strides(written: Sequence[_Written], specs: Mapping[str, ModuleSpec]) -> list[_Written | None]:
    wanted = {path: _plain(spec.arguments.get("stride", 1)) for path, spec in specs.items()}
    told: list[_Written | None] = [*_like(written, ("stride",), wanted)]
    return [None, *told] if set(wanted.values()) == {1} else told


def _is_strided(stride: _Written | None, path: str) -> bool:
    return stride is not None and stride.values[path] != 1


def _written(
    model: nn.Module, instances: Sequence[str], path: str, owner: type, files: dict[str, SourceFile]
) -> Iterator[_Written]:
    """The arguments of the layers in an instance that every instance has, in order."""
    for name, layer in modules.find(model, path).named_modules():
        paths = {p: f"{p}.{name}".lstrip(".") for p in instances}
        for argument in (*_READ, "stride") if name else ():
            if not hasattr(layer, argument):
                continue
            try:
                text = _argument_text(model, paths[path], argument, path, files)
                values = {p: _plain(getattr(modules.find(model, full), argument)) for p, full in paths.items()}
            except (UncertainError, LookupError, AttributeError):
                continue
            yield _Written(argument, text, values)


def _argument_text(model: nn.Module, path: str, argument: str, top: str, files: dict[str, SourceFile]) -> str:
    """What the class of the module at `top` writes for an argument of the layer at `path` within it."""
    made = constructor_of(model, path, files)
    node = _argument(made, type(modules.find(model, path)), argument)
    holder = _holder(model, path)
    if holder == top:
        return _lasting(made, node)
    if isinstance(node, ast.Name):  # a parameter of a class in between: what it is given further out
        return _argument_text(model, holder, node.id, top, files)
    if isinstance(node, ast.Constant):
        return ast.unparse(node)
    raise UncertainError(f"{ast.unparse(node)} is computed in {holder}")


def _holder(model: nn.Module, path: str) -> str:
    """The module in whose constructor a layer is written: plain rows of layers are written with it."""
    path = path.rpartition(".")[0]
    while path and type(modules.find(model, path)) is nn.Sequential:
        path = path.rpartition(".")[0]
    return path


def _argument(made: Constructor, kind: type, name: str) -> ast.expr:
    given = made.arguments(kind)
    if name not in given:
        raise UncertainError(f"{name} is not written")
    return given[name]


def _lasting(made: Constructor, node: ast.expr) -> str:
    """The text, where it means at the constructor's end what it means there."""
    inner: ast.AST = node
    while not isinstance(inner, ast.FunctionDef):
        inner = made.file.parents[inner]
    used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    for other in ast.walk(inner):
        stored = isinstance(other, ast.Name) and isinstance(other.ctx, ast.Store) and other.id in used
        if stored and other.lineno >= node.lineno:  # type: ignore[attr-defined]
            raise UncertainError(f"{ast.unparse(other)} changes further on in the constructor")
    if any(isinstance(n, ast.Call) for n in ast.walk(node)):
        raise UncertainError("the argument is computed by a call")
    return ast.unparse(node)


def _names(owner: type) -> dict[str, object]:
    init = vars(owner).get("__init__")
    return init.__globals__ if isinstance(init, FunctionType) else {}


def _text(
    spec: ModuleSpec, wanted: str, one: _Written, two: _Written, stride: _Written | None, names: dict[str, object]
) -> str:
    prefix = spec_code(ModuleSpec("Identity"), names).removesuffix("Identity()")
    rest = (
        "" if spec.type == "Linear" else ", kernel_size=1" + (f", stride={stride.text}" if stride is not None else "")
    )
    bias = ", bias=False" if spec.arguments.get("bias") is False else ""
    layer = f"{prefix}{spec.type}({one.text}, {two.text}{rest}{bias})"
    strided = f" or {stride.text} != 1" if stride is not None else ""
    return f"{layer} if {one.text} != {two.text}{strided} else {prefix}Identity()"
