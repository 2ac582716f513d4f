"""Keras 3 layers on the torch backend, recorded as torch's are.

Their classes are modules, but a functional model holds its layers in a list, where torch finds no name for them. A
layer makes its weights when it is first called, and a composite one runs itself on symbolic inputs to do so. Merges
compare shapes before torch could. Without Keras nothing here does anything, and Keras is never imported.
"""

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from skipstone.tracing.nests import map_tensors
from skipstone.tracing.torch_internals import children_of, no_torch_function, unset_fake_temporarily

PACKAGE = "keras"


def is_layer(module: nn.Module) -> bool:
    """Is the module a layer of Keras?"""
    keras = sys.modules.get(PACKAGE)
    return keras is not None and hasattr(keras, "layers") and isinstance(module, keras.layers.Layer)


def layers_in(root: nn.Module) -> Iterator[Any]:
    """The Keras layers of a module, itself among them."""
    return (module for _, module in named_modules(root) if is_layer(module))


def own_forward(kind: type[nn.Module]) -> Callable[..., Any]:
    """The function in which the author of a module class wrote what it does: `call` of a Keras layer."""
    keras: Any = sys.modules.get(PACKAGE)
    if keras is not None and hasattr(keras, "layers") and issubclass(kind, keras.layers.Layer):
        return kind.call  # type: ignore[attr-defined,no-any-return]
    return kind.forward


@contextmanager
def plain_errors() -> Iterator[None]:
    """Keras' errors as raised: it rewrites their text and cuts its own frames, and with them who is to blame."""
    keras: Any = sys.modules.get(PACKAGE)
    config = getattr(keras, "config", None)
    if config is None or not config.is_traceback_filtering_enabled():
        yield
        return
    config.disable_traceback_filtering()
    try:
        yield
    finally:
        config.enable_traceback_filtering()


def is_part(value: object) -> bool:
    """Is the object one that Keras keeps in its layers: a variable, a node of their graph, a list of what to track?

    Their own copies go through numpy or a file format, and reach whole layers.
    """
    own = type(value).__module__.partition(".")[0] == PACKAGE
    return own and hasattr(value, "__dict__") and not isinstance(value, type | set | tuple | nn.Module)


def weights(root: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The weights that Keras layers made themselves, each under its layer's path."""
    if PACKAGE not in sys.modules:
        return
    for path, module in named_modules(root):
        if is_layer(module):
            layer: Any = module
            for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
                if isinstance(variable._value, torch.Tensor):
                    yield (f"{path}.{variable.name}" if path else variable.name), variable._value


def named_modules(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """What `root.named_modules()` gives, and the layers that a Keras model keeps in a list, by their names.

    The module's own method is not asked: it is the user's to override, and torch's takes a generator for each level.
    """
    seen: set[int] = set()
    pending = [("", root)]
    loaded = PACKAGE in sys.modules
    while pending:
        path, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        own = children_of(module)
        if not own and not loaded:
            continue
        prefix = f"{path}." if path else ""
        children = [(prefix + name, child) for name, child in own.items() if child is not None]
        if loaded:
            children += [(prefix + layer.name, layer) for layer in _listed(module)]
        children.reverse()
        pending += children


def _listed(module: nn.Module) -> list[Any]:
    """The layers of a functional or sequential model; those of other layers are attributes, which torch names."""
    own = module.__dict__.get("_layers") if is_layer(module) else None
    named = {id(child) for child in children_of(module).values()}
    return [layer for layer in own or () if isinstance(layer, nn.Module) and id(layer) not in named]


def build_unrecorded(layer: Any, take: Callable[[torch.Tensor, str], torch.Tensor]) -> None:
    """Let the twin of a Keras layer make its weights, when it first runs, behind the recorder's back.

    `take` is given each weight, on the meta device, with its name, and gives what stands for it in the record. A
    composite layer makes none itself: its parts do as they are called.
    """
    if layer.built:
        return
    keras: Any = sys.modules[PACKAGE]
    plain = layer._maybe_build

    def build(call_spec: Any) -> None:
        if layer.built:
            return
        if type(layer).build is keras.layers.Layer.build:
            return
        with no_torch_function(), unset_fake_temporarily(), keras.device("meta"):
            try:
                plain(_concrete(call_spec))
            except ValueError:
                if not _is_merge(keras, layer):
                    raise
                _take_what_comes(layer)  # what torch says of the shapes is recorded, and compared with the branches
        for variable in (*layer._trainable_variables, *layer._non_trainable_variables):
            variable._value = take(variable._value, variable.name)
        layer._track_variables()

    layer.__dict__["_maybe_build"] = build


def _concrete(call_spec: Any) -> Any:
    """What a layer is called with, every size a number: a layer is built for one."""

    def plain(tensor: torch.Tensor) -> torch.Tensor:
        shape: tuple[Any, ...] = tuple(tensor.shape)
        sizes = [size.node.hint if isinstance(size, torch.SymInt) else size for size in shape]
        return torch.empty(sizes, dtype=tensor.dtype, device="meta")

    spec = copy.copy(call_spec)
    vars(spec).update(map_tensors(vars(call_spec), plain))
    return spec


def _is_merge(keras: Any, layer: Any) -> bool:
    merges = (keras.layers.Add, keras.layers.Subtract, keras.layers.Multiply, keras.layers.Average,
              keras.layers.Maximum, keras.layers.Minimum, keras.layers.Concatenate)  # fmt: skip
    return isinstance(layer, merges)


def _take_what_comes(merge: Any) -> None:
    """Leave a merge as if its inputs had had one shape."""
    merge.__dict__["_reshape_required"] = False
    merge.__dict__["built"] = True
