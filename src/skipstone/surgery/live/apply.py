"""Edits carried out on a live network."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from skipstone.core.edit import (
    Connect,
    Disconnect,
    Edit,
    MapOperand,
    NarrowInput,
    ReplaceModule,
    SetAttributes,
    WidenInput,
)
from skipstone.surgery.errors import SurgeryError, SurgeryWarning
from skipstone.surgery.live import edited, join, modules, widths
from skipstone.surgery.live.copying import copied, twin
from skipstone.surgery.live.handlers import SiteEdit
from skipstone.surgery.live.past import Record, Step, Undo, restore, set_steps, steps_of
from skipstone.surgery.proof import outputs
from skipstone.tracing import keras, trace
from skipstone.tracing.torch_files import DISPATCHER
from skipstone.tracing.torch_internals import children_of


def apply(model: nn.Module, edits: Sequence[Edit], *, copy: bool = True) -> nn.Module:
    """The network after `edits`, carried out together: each one is told in terms of the network as given.

    Parameters keep their names; new ones stand under the name that their edit gives. With `copy` (the default) the
    model is deep-copied first and stays untouched; without, it is changed itself, unless an error is raised.

    Raises:
        SurgeryError: an edit that cannot be carried out; the model is then as it was.
        UnknownNameError: a path that the model does not have.
    """
    return carried_out(model, edits, copy=copy)


def carried_out(
    model: nn.Module, edits: Sequence[Edit], *, copy: bool, prove: Callable[[nn.Module], Record] | None = None
) -> nn.Module:
    """`apply`, and a proof of the result: an error that `prove` raises undoes everything."""
    _check(model, edits)
    target = copied(model) if copy else model
    undo = Undo(target)
    try:
        _carry_out(target, edits)
        record = prove(target) if prove is not None else None
    except BaseException:
        undo()
        raise
    set_steps(target, (*steps_of(target), Step(undo.changed(), record)))
    return target


def revert(model: nn.Module, *, copy: bool = True) -> nn.Module:
    """The network before the last `apply`, `ablate` or `connect`: classes, settings, layers and hooks as they were.

    Weights that the edit left alone keep what training has made of them since; layers that it took out come back
    with the values, device and dtype that they had. After `ablate` and `connect` the result is recorded and held
    against the record from before the edit, unless the network has been changed otherwise since.

    Raises:
        SurgeryError: a model that has not been edited in this process, or a result that is not what it was.
    """
    if not steps_of(model):
        raise SurgeryError(
            f"{type(model).__name__} has not been edited: there is nothing to revert (a file keeps no past of a model)"
        )
    target = copied(model) if copy else model
    *earlier, last = steps_of(target)
    comparable = last.record is not None and _outputs(target, last.record) == last.record.after
    undo = Undo(target)
    try:
        restore(last)
        if last.record is not None and comparable and _outputs(target, last.record) != last.record.before:
            raise SurgeryError("the network is not what it was before the edit; it was changed in another way since")
    except BaseException:
        undo()
        raise
    set_steps(target, tuple(earlier))
    return target


def _outputs(model: nn.Module, record: Record) -> tuple[bytes, ...]:
    return outputs(trace(model, record.example))


def preview(model: nn.Module, edits: Sequence[Edit]) -> nn.Module:
    """The edited network on the same weights, new ones on the meta device: for recording it, not for running it."""
    _check(model, edits)
    target = twin(model)
    _carry_out(target, edits, weightless=True)
    return target


def _check(model: nn.Module, edits: Sequence[Edit]) -> None:
    """Everything that can be refused before anything is changed."""
    if not edits:
        raise SurgeryError("there is nothing to do: no edits were given")
    paths: dict[int, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        paths.setdefault(id(module), []).append(path)
    for edit in edits:
        for path in paths_of(edit):
            if isinstance(edit, ReplaceModule) and modules.is_hole(model, path):
                continue
            if len(others := paths[id(modules.find(model, path))]) > 1:
                names = " and ".join(map(repr, others))
                warnings.warn(
                    f"{names} are one module: the edit changes it in every place",
                    SurgeryWarning,
                    stacklevel=3,
                )


def paths_of(edit: Edit) -> tuple[str, ...]:
    """The modules an edit is about."""
    if isinstance(edit, SetAttributes | ReplaceModule | NarrowInput | WidenInput):
        return (edit.module,)
    if isinstance(edit, Connect):
        return edit.source, edit.target
    if isinstance(edit, Disconnect):
        return (edit.target,)
    return (edit.site.module,)


def _carry_out(model: nn.Module, edits: Sequence[Edit], *, weightless: bool = False) -> None:
    """Change a model. With `weightless` new weights are made on the meta device: a trial allocates nothing."""
    by_module: dict[str, list[SiteEdit]] = {}
    for edit in edits:
        if isinstance(edit, SetAttributes):
            modules.set_attributes(modules.find(model, edit.module), edit.module, dict(edit.values))
        elif isinstance(edit, ReplaceModule) and modules.is_hole(model, edit.module):
            holder, _, name = edit.module.rpartition(".")
            children_of(modules.find(model, holder))[name] = modules.build(edit.new, model, weightless=weightless)
        elif isinstance(edit, ReplaceModule):
            old = modules.find(model, edit.module)
            new = modules.build(edit.new, old, model, weightless=weightless)
            modules.carry_weights(old, new)
            modules.put(model, edit.module, new)
        elif isinstance(edit, NarrowInput):
            widths.narrow(modules.find(model, edit.module), edit, weightless=weightless)
        elif isinstance(edit, WidenInput):
            widths.widen(modules.find(model, edit.module), edit, weightless=weightless)
        elif isinstance(edit, Connect):
            join.connect(model, edit, weightless=weightless)
        elif isinstance(edit, Disconnect):
            join.disconnect(model, edit.target, edit.name)
        else:
            by_module.setdefault(edit.site.module, []).append(edit)
    for path, chosen in by_module.items():
        _edit_sites(model, path, chosen, weightless=weightless)


def _edit_sites(model: nn.Module, path: str, edits: Sequence[SiteEdit], *, weightless: bool) -> None:
    holder = modules.find(model, path)
    if isinstance(holder, torch.jit.ScriptModule):
        raise SurgeryError(f"{path or 'the model'} is compiled TorchScript, whose forward cannot be edited")
    if keras.is_layer(holder):
        warnings.warn(
            "a copy that Keras makes from a model's configuration loses the edit", SurgeryWarning, stacklevel=4
        )
    elif own := edited.own_copying(holder):
        raise SurgeryError(
            f"{path or 'the model'} ({type(holder).__name__}) has a {own} of its own: copies would lose the edit"
        )
    if inside := next((edit.site for edit in edits if edit.site.place.file == DISPATCHER), None):
        raise SurgeryError(
            f"{inside.op} in {path or 'the model'} is called by compiled code (TorchScript) or through "
            "torch.ops, not as a function of torch: it cannot be edited"
        )
    ready = [_with_module(model, holder, edit, weightless=weightless) for edit in edits]
    for place in dict.fromkeys(edit.site.place for edit in ready):
        if why := edited.obstacle(holder, place):
            warnings.warn(f"{why}; its calls are watched while it runs instead", SurgeryWarning, stacklevel=4)
    edited.set_stages(holder, edited.merged(edited.stages_of(holder), ready))
    modules.slow_attention(model, path)


def _with_module(model: nn.Module, holder: nn.Module, edit: SiteEdit, *, weightless: bool) -> SiteEdit:
    """Register the new module of a `MapOperand` on the holder, under a name that is free there."""
    if not isinstance(edit, MapOperand) or edit.transform.kind != "module":
        return edit
    if edit.transform.module is None:
        raise SurgeryError("a transform of kind 'module' needs its `module`")
    modules.check_takes_layers(holder, edit.site.module)
    name = modules.free_name(holder, edit.name)
    holder.add_module(name, modules.build(edit.transform.module, holder, model, weightless=weightless))
    return replace(edit, name=name)
