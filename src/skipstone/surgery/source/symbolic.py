"""Edits of the lines that build a functional Keras model: a shortcut through a layer, layers that keep the size.

There is no class whose instances a change would reach: the lines run when the model is built, those of a function
perhaps for many blocks. A shortcut is therefore put through its new layer where the shapes of that very call differ.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence

from skipstone.core.graph import Place
from skipstone.surgery.live.locate import spot, spot_of
from skipstone.surgery.source.constructors import source_file
from skipstone.surgery.source.expressions import UncertainError, set_keyword
from skipstone.surgery.source.file import SourceFile

_LAYERS = "keras.layers"
_ARGUMENTS = {"Conv": ("filters", "kernel_size", "strides", "padding"), "Pool": ("pool_size", "strides", "padding")}
_TF = "tensorflow."


def project(place: Place, operand: int, count: int, layer: str, given: Mapping[str, object]) -> SourceFile:
    """The file with one of a merge's operands, the shortcut, put through a new layer.

    Args:
        place: the call of the merge: `Add()([x, shortcut])`, `add([x, shortcut])` or `x + shortcut`.
        operand: which of its `count` operands, the other one being what it is to fit.
        layer: a class of `keras.layers`, as "Conv2D"; `given` are its arguments, the first one the width.

    Raises:
        UncertainError: the line does not show the operands, or the file has no name for the layer.
    """
    file = source_file(place.file, {})
    merge = _node_at(file, place)
    written = _operands(merge, count)
    short, other = written[operand], written[1 - operand]
    made = f"{_name_of(file, layer)}({{width}}{''.join(_rest(given))})"
    strided = "strides" in given
    if not _runs_again(file, merge):
        width = next(iter(given.values()))
        file.replace(short, lambda render: f"{made.format(width=width)}({render(short)})")
        return file
    if not isinstance(short, ast.Name) or not isinstance(other, ast.Name):
        raise UncertainError("the operands have no names to compare their shapes by")
    axes = "[1:]" if strided else "[-1]"
    layer_text = made.format(width=f"{other.id}.shape[-1]")
    differ = f"{short.id}.shape{axes} != {other.id}.shape{axes}"
    statement = file.statement_of(merge)
    if _stands_alone(file, statement) and not _is_read_later(file, statement, short.id):
        indent = file.indent(statement)
        lines = (f"if {differ}:", f"    {short.id} = {layer_text}({short.id})")
        text = "".join(f"{line}{file.newline}{indent}" for line in lines)
        begin = file.span(statement)[0]
        file.replace_span((begin, begin), lambda render: text)
    else:
        file.replace(short, lambda render: f"{layer_text}({short.id}) if {differ} else {short.id}")
    return file


def keep_size(places: Sequence[Place], file: SourceFile | None = None) -> SourceFile:
    """The file with `padding="same"` in each of the layers that are made and called at these places.

    Raises:
        UncertainError: a layer is made elsewhere than where it is called.
    """
    file = file or source_file(places[0].file, {})
    for place in dict.fromkeys(places):
        call = _node_at(file, place)
        made = call.func if isinstance(call, ast.Call) else None
        name = _qualified(file, made.func) if isinstance(made, ast.Call) else None
        kind = next((kind for kind in _ARGUMENTS if name and kind in name.rpartition(".")[2]), None)
        if place.file != str(file.path) or kind is None or not isinstance(made, ast.Call):
            raise UncertainError(f"{place} does not make the layer that it calls")
        set_keyword(file, made, "padding", "same", _ARGUMENTS[kind].index("padding"))
    return file


def is_merge(place: Place) -> bool:
    """Does a line call a merge of Keras, or add?"""
    try:
        file = source_file(place.file, {})
        node = _node_at(file, place)
    except UncertainError:
        return False
    return _is_merge(file, node)


def _is_merge(file: SourceFile, node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add)
    if not isinstance(node, ast.Call):
        return False
    name = _qualified(file, node.func.func if isinstance(node.func, ast.Call) else node.func)
    return name in (f"{_LAYERS}.Add", f"{_LAYERS}.add")


def _node_at(file: SourceFile, place: Place) -> ast.expr:
    node = next((n for n in ast.walk(file.tree) if isinstance(n, ast.expr) and spot(n) == spot_of(place)), None)
    if node is None:
        raise UncertainError(f"{place} is not where it was when the model was built")
    return node


def _operands(merge: ast.expr, count: int) -> list[ast.expr]:
    if isinstance(merge, ast.BinOp) and count == 2:
        return [merge.left, merge.right]
    for argument in merge.args if isinstance(merge, ast.Call) else ():
        elements = argument.elts if isinstance(argument, ast.List | ast.Tuple) else []
        if len(elements) == count == 2 and not any(isinstance(element, ast.Starred) for element in elements):
            return elements
    raise UncertainError("the call does not show its two operands")


def _rest(given: Mapping[str, object]) -> Iterator[str]:
    """The arguments after the first, the size of the kernel by position."""
    for name, value in list(given.items())[1:]:
        yield f", {value!r}" if name == "kernel_size" else f", {name}={value!r}"


def _runs_again(file: SourceFile, node: ast.AST) -> bool:
    """May the line run more than once while a model is built?"""
    while node in file.parents:
        node = file.parents[node]
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.For | ast.While | ast.comprehension
        ):
            return True
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            return True
    return False


def _stands_alone(file: SourceFile, statement: ast.stmt) -> bool:
    """Does the statement begin its line?"""
    return file.lines[statement.lineno - 1][: statement.col_offset].strip() == ""


def _is_read_later(file: SourceFile, statement: ast.stmt, name: str) -> bool:
    """Is the name read behind the statement, or, in a loop, anywhere else in it, before it means another tensor?"""
    around: ast.AST = statement
    while not isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
        around = file.parents[around]
        if isinstance(around, ast.For | ast.While):
            return True
    return any(
        isinstance(n, ast.Name)
        and n.id == name
        and isinstance(n.ctx, ast.Load)
        and n.lineno > (statement.end_lineno or 0)
        for n in ast.walk(around)
    )


# ---- the names that a file has for Keras


def _aliases(file: SourceFile) -> dict[str, str]:
    """What each imported name stands for, `layers` -> `keras.layers`; TensorFlow's Keras is Keras."""
    found: dict[str, str] = {}
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                whole = name.name if name.asname else name.name.partition(".")[0]
                found[name.asname or whole] = whole.removeprefix(_TF)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {n.asname or n.name: f"{node.module}.{n.name}".removeprefix(_TF) for n in node.names}
    return found


def _qualified(file: SourceFile, node: ast.expr) -> str | None:
    """The full name of what a dotted name in a file stands for, `keras.layers.Add`; None where it is not imported."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    whole = _aliases(file).get(node.id) if isinstance(node, ast.Name) else None
    return None if whole is None else ".".join([whole, *reversed(parts)])


def _name_of(file: SourceFile, layer: str) -> str:
    """How the file reaches a class of `keras.layers`."""
    wanted = f"{_LAYERS}.{layer}"
    known = sorted(_aliases(file).items(), key=lambda item: -len(item[1]))
    for name, whole in known:
        if wanted == whole:
            return name
        if wanted.startswith(f"{whole}."):
            return name + wanted.removeprefix(whole)
    raise UncertainError(f"the file does not import {_LAYERS}")
