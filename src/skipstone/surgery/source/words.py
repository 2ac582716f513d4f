"""Edits in words and code, for where no source can be patched for certain."""

from collections.abc import Sequence

from skipstone.core.edit import (
    Connect,
    Disconnect,
    DropOperand,
    Edit,
    MapOperand,
    ModuleSpec,
    NarrowInput,
    OutOfPlace,
    ReplaceModule,
    SetArgument,
    SetAttributes,
    Site,
    TakeItem,
    WidenInput,
)
from skipstone.surgery.transforms import MEANINGS, Use
from skipstone.tracing.torch_files import FOLDER

_ORDINALS = ("first", "second", "third", "fourth", "fifth")


def suggestion(edits: Sequence[Edit]) -> str:
    """One line for each edit: what to write, and where."""
    return "\n".join(_line(edit) for edit in edits)


def _line(edit: Edit) -> str:
    match edit:
        case SetAttributes():
            values = ", ".join(f"{name}={value!r}" for name, value in edit.values.items())
            return f"in {_path(edit.module)}: set {values}"
        case ReplaceModule():
            return f"put {edit.new} in place of {edit.module}"
        case MapOperand():
            return f"{_where(edit.site)}: {_mapped(edit)}"
        case SetArgument():
            return f"{_where(edit.site)}: give {edit.site.op} the argument {edit.name}={edit.value!r}"
        case OutOfPlace():
            return f"{_where(edit.site)}: give the result a new tensor; do not work in place"
        case DropOperand():
            return f"{_where(edit.site)}: take {_operand(edit.operand)} out of {edit.site.op}"
        case TakeItem():
            return _taken(edit)
        case Connect():
            return _connected(edit)
        case Disconnect():
            return f"take the added skip {edit.name} away from {edit.target}"
        case NarrowInput():
            kept = ", ".join(f"{start}:{stop}" for start, stop in edit.ranges)
            return f"let {edit.module} read the input channels {kept} only"
        case WidenInput():
            return f"let {edit.module} read {edit.count} further input channels" + (
                ", their weights zero at first" if edit.at_init == "zero" else ""
            )


def _mapped(edit: MapOperand) -> str:
    like = _operand(edit.transform.like) if edit.transform.like is not None else ""
    use = Use.of(edit.transform, edit.site.op, edit.name)
    return MEANINGS[edit.transform.kind].told(use, _operand(edit.operand), like)


def _connected(edit: Connect) -> str:
    through: ModuleSpec | str = edit.shortcut if edit.shortcut is not None else "the identity"
    start = f"the output of {edit.source}" if edit.source else "the model's input"
    zero = "; a factor that is learned starts at 0" if edit.at_init == "zero" else ""
    return f"merge {start} into the output of {edit.target} by {edit.merge}, through {through}{zero}"


def _taken(edit: TakeItem) -> str:
    if edit.site.place.file.startswith(FOLDER):
        return f"behind {edit.name} in {_path(edit.site.module)}: put a layer whose forward returns `x[{edit.index}]`"
    return f"{_where(edit.site)}: take `[{edit.index}]` of what {edit.name} returns"


def _path(path: str) -> str:
    return path or "the model"


def _operand(index: int) -> str:
    return f"the {_ORDINALS[index]} operand" if index < len(_ORDINALS) else f"operand {index + 1}"


def _where(site: Site) -> str:
    run = "" if site.occurrence is None else f", run {site.occurrence + 1} of it"
    return f"{site.place} in {_path(site.module)}{run}"
