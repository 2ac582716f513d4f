"""Edits as a unified diff of the source, wherever that changes this network exactly as the live edit would.

The text of a class serves all its instances. So an edit of one instance is certain only where every module that runs
the same text gets the same edit.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FunctionType

from torch import Tensor, nn

from skipstone.core.edit import (
    Connect,
    DropOperand,
    Edit,
    MapOperand,
    ModuleSpec,
    NarrowInput,
    OutOfPlace,
    ReplaceModule,
    SetArgument,
    SetAttributes,
    TakeItem,
    WidenInput,
)
from skipstone.core.graph import Place
from skipstone.core.sources import SourceChange, decode
from skipstone.surgery.live import modules, widths
from skipstone.surgery.live.edited import base_class, stages_of
from skipstone.surgery.live.handlers import SiteEdit
from skipstone.surgery.live.held import held_by
from skipstone.surgery.live.locate import Definition, definition, locate, spot, spot_of
from skipstone.surgery.source.constructors import (
    class_function,
    constructor_of,
    holders_alike,
    source_file,
    spec_code,
)
from skipstone.surgery.source.expressions import SiteText, UncertainError
from skipstone.surgery.source.file import SourceFile
from skipstone.surgery.source.general import general_code
from skipstone.surgery.source.skip_text import note_connection
from skipstone.surgery.transforms import helper_lines

ModuleEdit = SetAttributes | ReplaceModule | NarrowInput | WidenInput


def source_diff(model: nn.Module, edits: Sequence[Edit]) -> str | None:
    """A unified diff that `git apply` takes and that makes the network of `apply(model, edits)`; None where that is
    not certain: shared classes of which only some instances change, layers made in loops or from settings, expressions
    that do not show their operands, connections across modules, missing source. `suggestion(edits)` then says it in
    words.
    """
    changes = source_changes(model, edits)
    return None if changes is None else "".join(change.patch().decode(decode(change.before)[1]) for change in changes)


def source_changes(model: nn.Module, edits: Sequence[Edit]) -> tuple[SourceChange, ...] | None:
    """The files that `source_diff` changes, ready to be shown or written; None where it refuses."""
    try:
        changes = tuple(file.change() for file in _edited_files(model, edits))
    except UncertainError:
        return None
    return changes if changes and all(change.before != change.after for change in changes) else None


def why_not(model: nn.Module, edits: Sequence[Edit]) -> str:
    """Why there is no source diff; empty where there is one."""
    try:
        _edited_files(model, edits)
    except UncertainError as reason:
        return str(reason)
    return ""


def _edited_files(model: nn.Module, edits: Sequence[Edit]) -> list[SourceFile]:
    files: dict[str, SourceFile] = {}
    sites: dict[Place, dict[str, list[SiteEdit]]] = {}
    for edit in edits:
        if isinstance(edit, SetAttributes | ReplaceModule | NarrowInput | WidenInput):
            _check_alike(model, edit, edits)
        elif isinstance(edit, MapOperand | SetArgument | OutOfPlace | DropOperand | TakeItem):
            sites.setdefault(edit.site.place, {}).setdefault(edit.site.module, []).append(edit)
        elif isinstance(edit, Connect):
            note_connection(model, edit, files)
        else:
            raise UncertainError(f"{type(edit).__name__} has no one place in the source")
    done: set[tuple[object, ...]] = set()
    for edit in edits:
        if isinstance(edit, SetAttributes | ReplaceModule | NarrowInput | WidenInput):
            _edit_constructor(model, edit, files, done)
    for place, by_module in sites.items():
        _edit_site(model, place, by_module, files)
    for file in files.values():
        file.edited()  # what is uncertain in the new text shows here
    return list(files.values())


# ---- settings and layers


def _check_alike(model: nn.Module, edit: ModuleEdit, edits: Sequence[Edit]) -> None:
    """Do all modules made by the same call get the same edit?"""
    twins = _twins(model, edit.module)
    for path in twins:
        if replace(edit, module=path) not in edits:
            raise UncertainError(f"{path} is made by the same line and would change with {edit.module}")


def _twins(model: nn.Module, path: str) -> list[str]:
    """The paths of all modules made by the call that makes the one at `path`, itself included."""
    holder, _, name = path.rpartition(".")
    tail = name
    while isinstance(modules.find(model, holder), nn.Sequential) and holder:
        holder, _, name = holder.rpartition(".")
        tail = f"{name}.{tail}"
    others = [f"{p}.{tail}" if p else tail for p in holders_alike(model, path)]
    existing = dict(model.named_modules())
    return [other for other in others if other in existing]


def _edit_constructor(
    model: nn.Module, edit: ModuleEdit, files: dict[str, SourceFile], done: set[tuple[object, ...]]
) -> None:
    constructor = constructor_of(model, edit.module, files)
    key = (constructor.file.path, *constructor.file.span(constructor.call), repr(replace(edit, module="")))
    if key in done:  # another instance's edit has changed the line already
        return
    module = modules.find(model, edit.module)
    if isinstance(edit, SetAttributes):
        for name, value in edit.values.items():
            constructor.set(module, name, value)
    elif isinstance(edit, ReplaceModule):
        constructor.replace(edit.new)
    else:
        width = widths.input_channels(module) or 0
        new = width + edit.count if isinstance(edit, WidenInput) else sum(stop - start for start, stop in edit.ranges)
        name = next(n for n in ("in_channels", "in_features", "num_features") if hasattr(module, n))
        constructor.set(module, name, new)
    done.add(key)


# ---- call sites


def _edit_site(
    model: nn.Module, place: Place, by_module: Mapping[str, Sequence[SiteEdit]], files: dict[str, SourceFile]
) -> None:
    path, edits = next(iter(by_module.items()))
    layers = _new_layers(by_module)
    if any(edit.site.occurrence is not None for chosen in by_module.values() for edit in chosen):
        raise UncertainError(f"{place} runs several times and only some of its runs change")
    first = _anywhere(edits, layers)
    if any(_anywhere(chosen, layers) != first for chosen in by_module.values()):
        raise UncertainError(f"the modules that run {place} change in different ways")
    function, owner = _function(model, path, place)
    others = [p for p, module in model.named_modules() if p not in by_module and _reaches(module, place)]
    code = ""
    if owner is not None and layers and (others or len({repr(spec) for spec in layers.values()}) > 1):
        code = general_code(model, owner, layers, files)
    elif others:
        raise UncertainError(f"{others[0] or 'the model'} runs {place} too")
    file = source_file(place.file, files)
    found, node = _expression(file, function, place)
    method = owner is not None and not isinstance(found, ast.Lambda) and found.args.args
    self_name = found.args.args[0].arg if method else None
    text = SiteText(file, node, edits, function.__globals__, self_name)
    text.note()
    _add_helpers(file, text.helpers, function.__globals__)
    for edit in edits:
        if isinstance(edit, MapOperand) and edit.transform.module is not None:
            _add_layer(model, path, edit, owner, files, set(by_module), code)


def _expression(file: SourceFile, function: FunctionType, place: Place) -> tuple[Definition, ast.AST]:
    """The function's definition in the file, and the outermost expression that stands at the place in it."""
    found = definition(file.tree, function.__code__)
    node = next((n for n in ast.walk(found) if spot(n) == spot_of(place)), None) if found else None
    if found is None or node is None:
        raise UncertainError(f"{place} is not where it was recorded")
    return found, _outermost(file, node)


def _new_layers(by_module: Mapping[str, Sequence[SiteEdit]]) -> dict[str, ModuleSpec]:
    """The one new layer of each module, by path; none where a module gets more than that."""
    found = {}
    for path, (edit, *more) in by_module.items():
        if more or not isinstance(edit, MapOperand) or edit.transform.module is None:
            return {}
        found[path] = edit.transform.module
    return found


def _anywhere(edits: Sequence[SiteEdit], layers: Mapping[str, ModuleSpec]) -> list[SiteEdit]:
    """The edits without the module they are told for, nor the widths of its new layer where each has one."""
    told = [replace(edit, site=replace(edit.site, module="")) for edit in edits]
    return [
        replace(edit, transform=replace(edit.transform, module=ModuleSpec(edit.transform.module.type)))
        if layers and isinstance(edit, MapOperand) and edit.transform.module is not None
        else edit
        for edit in told
    ]


def _function(model: nn.Module, path: str, place: Place) -> tuple[FunctionType, type | None]:
    """The function with the site, and the class whose method it is (None for a plain function)."""
    module = modules.find(model, path)
    if stages_of(module):
        raise UncertainError(f"{path or 'the model'} has been edited before")
    location = locate(base_class(module), place)
    if location is None:
        raise UncertainError(f"{place} is no source that {path or 'the model'} is seen to run")
    plain = any(step.through == "global" for step in location.steps)
    static = isinstance(vars(location.owner)[location.method], staticmethod)
    function: FunctionType = location.functions[-1]
    return function, None if plain or static else location.owner


def _reaches(module: nn.Module, place: Place) -> bool:
    held = held_by(module, (place,))
    return locate(base_class(module), place) is not None or bool(held.direct | held.hooked | held.deeper)


def _outermost(file: SourceFile, node: ast.AST) -> ast.AST:
    """Of several nodes with the same span, the one that is edited: the call, not the expression statement around it."""
    while spot(parent := file.parents[node]) == spot(node) and not isinstance(parent, ast.Expr):
        node = parent
    return node.value if isinstance(node, ast.Expr) else node


def _add_helpers(file: SourceFile, helpers: Sequence[Callable[..., Tensor]], names: Mapping[str, object]) -> None:
    """Write the functions that the new text calls after the file's imports."""
    for helper in sorted(set(helpers), key=lambda helper: helper.__name__):
        name = helper.__name__
        if name in names:
            raise UncertainError(f"the file has a name {name} of its own")
        if "torch" not in names:
            raise UncertainError("the file does not import torch")
        imports = [n for n in file.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        if name not in file.written:
            file.written.add(name)
            file.insert_after(imports[-1], ["", "", *helper_lines(helper)])


def _add_layer(
    model: nn.Module,
    path: str,
    edit: MapOperand,
    owner: type | None,
    files: dict[str, SourceFile],
    alike: set[str],
    code: str,
) -> None:
    """Make the new layer at the end of the constructor, by `code` where instances differ."""
    assert edit.transform.module is not None
    if owner is None:
        raise UncertainError("a plain function has no constructor to make a layer in")
    strangers = [p for p, m in model.named_modules() if isinstance(m, owner) and p not in alike]
    if strangers and not code:
        raise UncertainError(f"{strangers[0] or 'the model'} is a {owner.__name__} too and would get the layer")
    holder = modules.find(model, path)
    if hasattr(holder, edit.name):
        raise UncertainError(f"{path or 'the model'} has an attribute {edit.name} already")
    init = vars(owner).get("__init__")
    if not isinstance(init, FunctionType):
        raise UncertainError(f"{owner.__name__} has no constructor of its own")
    file = source_file(init.__code__.co_filename, files)
    made = class_function(file, owner, "__init__", init.__code__.co_firstlineno)
    last = made.body[-1]
    if any(isinstance(node, ast.Return) for node in ast.walk(made)) or file.line_span(last) == file.line_span(made):
        raise UncertainError(f"the constructor of {owner.__name__} does not run to its last line")
    code = code or spec_code(edit.transform.module, init.__globals__)
    file.insert_after(last, [f"{made.args.args[0].arg}.{edit.name} = {code}"])
