"""Edits of whole modules: settings changed, layers replaced, layers made from their specification."""

import copy
import importlib
from collections.abc import Callable, Iterable

import torch
from torch import nn

from skipstone.core.edit import ModuleSpec
from skipstone.core.errors import UnknownNameError
from skipstone.surgery.errors import SurgeryError
from skipstone.tracing.torch_internals import CONVS, children_of


def find(model: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path, "" for the model itself; nearest paths offered where there is none."""
    if isinstance(model, torch.jit.ScriptModule):
        raise SurgeryError(
            f"{type(model).__name__} is TorchScript, which cannot be edited; edit the module it was made of"
        )
    try:
        return model.get_submodule(path)
    except AttributeError:
        known = [name for name, _ in model.named_modules(remove_duplicate=False)]
        raise UnknownNameError("module", path, known) from None


def is_hole(model: nn.Module, path: str) -> bool:
    """Is there a place of that name which holds None: a layer left out of a row?"""
    holder, _, name = path.rpartition(".")
    try:
        children = children_of(model.get_submodule(holder))
    except AttributeError:
        return False
    return name in children and children[name] is None


def paths_of(model: nn.Module, module: nn.Module) -> list[str]:
    """Every path of one module object: more than one where it is shared."""
    return [path for path, other in model.named_modules(remove_duplicate=False) if other is module]


def build(spec: ModuleSpec, *models: nn.Module, weightless: bool = False) -> nn.Module:
    """A new module; training mode, device and floating-point dtype are those of `models` (see `like`).

    With `weightless` its weights are on the meta device: they have shapes and take no memory.

    Raises:
        SurgeryError: no such class, or arguments it does not take.
    """
    module = _made_on("meta", spec) if weightless else _made_on("cpu", spec)
    like(module, *models)
    return module


def like(module: nn.Module, *models: nn.Module) -> None:
    """Give a new module the first model's training mode, and device and dtype of the first one that has weights.

    Weights on the meta device stay there: there is nothing to move.
    """
    reference = next((t for model in models for t in _tensors(model) if t.is_floating_point()), None)
    if reference is not None:
        there = any(tensor.is_meta for tensor in _tensors(module))
        module.to(device=None if there else reference.device, dtype=reference.dtype)
    if models:
        module.train(models[0].training)


def _made_on(device: str, spec: ModuleSpec) -> nn.Module:
    with torch.device(device):
        try:
            return _made(spec)
        except (RuntimeError, NotImplementedError) as error:
            if device != "meta":
                raise SurgeryError(f"{spec} cannot be made: {error}") from error
    return _made_on("cpu", spec)  # a class that computes with its values when it is made


def _made(spec: ModuleSpec) -> nn.Module:
    cls = _class(spec.type)
    parts = {name: _made(value) for name, value in spec.arguments.items() if isinstance(value, ModuleSpec)}
    rest = {name: value for name, value in spec.arguments.items() if name not in parts}
    try:
        if cls is nn.Sequential:
            return nn.Sequential(*parts.values())
        made = cls(**rest, **parts)
    except (TypeError, ValueError) as error:
        raise SurgeryError(f"{spec} cannot be made: {error}") from error
    if not isinstance(made, nn.Module):
        raise SurgeryError(f"{spec.type} makes a {type(made).__name__}, not a torch.nn.Module")
    return made


def _class(name: str) -> Callable[..., nn.Module]:
    space, _, attribute = name.rpartition(":")
    try:
        holder = importlib.import_module(space or "torch.nn")
        found = getattr(holder, attribute)
    except (ImportError, AttributeError) as error:
        raise SurgeryError(
            f"there is no module class {name!r}; write a class of torch.nn or package.module:Class"
        ) from error
    if isinstance(found, type) and not issubclass(found, nn.Module):
        raise SurgeryError(f"{name!r} is not a class of torch.nn.Module")
    if not callable(found):
        raise SurgeryError(f"{name!r} is neither a class of torch.nn.Module nor a function that makes one")
    made: Callable[..., nn.Module] = found
    return made


def _tensors(module: nn.Module) -> Iterable[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def carry_weights(old: nn.Module, new: nn.Module) -> None:
    """Copy parameters and buffers of equal name and shape, whether they are trained, and the training mode."""
    sources = {**dict(old.named_parameters()), **dict(old.named_buffers())}
    with torch.no_grad():
        for name, tensor in [*new.named_parameters(), *new.named_buffers()]:
            source = sources.get(name)
            if source is not None and source.shape == tensor.shape:
                tensor.copy_(source)
                tensor.requires_grad_(source.requires_grad)
    new.train(old.training)


def put(model: nn.Module, path: str, new: nn.Module) -> None:
    """Put `new` wherever the module at `path` stands; a shared module stays shared."""
    if not path:
        raise SurgeryError("the model itself cannot be replaced; replace a module within it")
    old = find(model, path)
    for other in paths_of(model, old):
        holder, _, name = other.rpartition(".")
        parent = find(model, holder)
        children_of(parent)[name] = new


def set_attributes(module: nn.Module, path: str, values: "dict[str, object]") -> None:
    """Change settings that the module has.

    Raises:
        UnknownNameError: a setting that this module does not have.
    """
    for name in values:
        if not hasattr(module, name):
            raise UnknownNameError(f"setting of {path or 'the model'} ({type(module).__name__})", name, vars(module))
    for name, value in values.items():
        setattr(module, name, copy.deepcopy(value))
    if isinstance(module, CONVS) and "padding" in values and isinstance(module.padding, tuple):
        # Kept beside `padding` by torch, and what a padding mode other than zeros reads.
        module._reversed_padding_repeated_twice = [p for p in reversed(module.padding) for _ in range(2)]


def check_takes_layers(holder: nn.Module, path: str) -> None:
    """A container runs, or may run, every layer registered in it: a new one would not stay beside the others."""
    if isinstance(holder, nn.Sequential | nn.ModuleList | nn.ModuleDict):
        raise SurgeryError(
            f"{path or 'the model'} is a container ({type(holder).__name__}) and would run a layer registered in it; "
            "name a layer within it"
        )


def free_name(holder: nn.Module, name: str) -> str:
    """`name`, or `name_2`, `name_3`, ... where the holder has it already."""
    number, candidate = 1, name
    while hasattr(holder, candidate):
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def slow_attention(model: nn.Module, path: str) -> None:
    """Turn off torch's fused transformer layers around an edited module: they would run past its edits."""
    parts = path.split(".") if path else []
    for depth in range(len(parts) + 1):
        module = find(model, ".".join(parts[:depth]))
        if isinstance(module, nn.TransformerEncoderLayer):
            module.activation_relu_or_gelu = 0
        elif isinstance(module, nn.TransformerEncoder):
            module.use_nested_tensor = False
