"""A skip added between two modules of a live network: the source's output is kept until the target has run.

Hooks carry the value; they are plain objects, so that copies and pickles of the network keep them. What the skip
computes is a module of its own in the target, `Join`, so that its parameters are the network's.
"""

from typing import Any

import torch
from torch import Tensor, nn

from skipstone.core.edit import AtInit, Connect, ConnectMerge
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live import modules
from skipstone.tracing.torch_internals import hooks_of, in_backward


class Join(nn.Module):
    """`out` merged with the shortcut of an earlier tensor.

    add: out + s; mul: out * s; gate: out * sigmoid(s); cat: features of `out`, then of s.
    Starting at zero, with a factor g = 0 that is learned: out + g s; out * (1 + g (s - 1)); out * 2 sigmoid(g s);
    a concatenation starts at zero in the layer that reads it.
    """

    def __init__(
        self, merge: ConnectMerge, shortcut: nn.Module | None = None, at_init: AtInit = "plain", axis: int = 1
    ) -> None:
        super().__init__()
        self.merge, self.axis = merge, axis
        self.shortcut = shortcut
        zero = at_init == "zero" and merge != "cat"
        self.gain = nn.Parameter(torch.zeros(())) if zero else None

    def forward(self, out: Tensor, source: Tensor) -> Tensor:
        s = source if self.shortcut is None else self.shortcut(source)
        if self.merge == "cat":
            return torch.cat((out, s), self.axis)
        if self.merge == "add":
            return out + (s if self.gain is None else self.gain * s)
        if self.merge == "mul":
            return out * (s if self.gain is None else 1 + self.gain * (s - 1))
        return out * (torch.sigmoid(s) if self.gain is None else 2 * torch.sigmoid(self.gain * s))

    def extra_repr(self) -> str:
        return f"merge={self.merge}" + (", gain from 0" if self.gain is not None else "")


class Cell:
    """Where the source's output waits. Copies of the network start with an empty one."""

    def __init__(self) -> None:
        self.value: Tensor | None = None
        self.runs = [0, 0]  # of the source and of the target, where they are counted
        self.with_gradient = True
        self.cut = False  # was a value without gradient used where gradients are wanted?

    def __reduce__(self) -> tuple[type["Cell"], tuple[()]]:
        return Cell, ()


class Tap:
    """Keeps the source's output."""

    def __init__(self, cell: Cell, occurrence: int | None, clone: bool) -> None:
        self.cell, self.occurrence, self.clone = cell, occurrence, clone

    def __call__(self, module: nn.Module, args: Any, output: Any = None) -> None:
        cell = self.cell
        if self.occurrence is not None:
            cell.runs[0] += 1
            if cell.runs[0] - 1 != self.occurrence:
                return
        if cell.cut and not torch.compiler.is_compiling() and in_backward():
            raise SurgeryError(
                "a skip leads out of a region under reentrant activation checkpointing, and no gradient would flow "
                "through it; use checkpoint(..., use_reentrant=False), or checkpoint a region with both of its ends"
            )
        value = _first_tensor(args if output is None else output)
        cell.value = value.clone() if self.clone else value
        cell.with_gradient = torch.is_grad_enabled()


class JoinHook:
    """Merges what was kept into the target's output."""

    def __init__(self, cell: Cell, name: str, occurrence: int | None) -> None:
        self.cell, self.name, self.occurrence = cell, name, occurrence

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        cell = self.cell
        if self.occurrence is not None:
            cell.runs[1] += 1
            if cell.runs[1] - 1 != self.occurrence:
                return output
        source, cell.value = cell.value, None
        if source is None:
            raise SurgeryError(
                f"the skip {self.name!r} reached its target without a value from its source: the source did not run "
                "before it, or the target runs more than once, or activation checkpointing runs it again by itself"
            )
        cell.cut = torch.is_grad_enabled() and not cell.with_gradient
        join = getattr(module, self.name)
        if isinstance(output, tuple):
            return (join(output[0], source), *output[1:])
        return join(output, source)


class Reset:
    """Counts runs from 0 again when the module around both ends begins."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell

    def __call__(self, module: nn.Module, args: Any) -> None:
        self.cell.runs = [0, 0]
        self.cell.value = None


_LISTS = (tuple, list)  # the compiler of torch 2.6 does not know `tuple | list`


def _first_tensor(value: Any) -> Tensor:
    if isinstance(value, _LISTS) and value:
        value = value[0]
    if not isinstance(value, Tensor):
        raise SurgeryError(
            f"a skip can start at a tensor or a tuple that begins with one, not at {type(value).__name__}"
        )
    return value


def connect(model: nn.Module, edit: Connect, *, weightless: bool = False) -> None:
    """Carry out a `Connect`; with `weightless` its new weights are on the meta device."""
    source, target = modules.find(model, edit.source), modules.find(model, edit.target)
    if edit.source and source is target and edit.source_occurrence == edit.target_occurrence:
        raise SurgeryError(f"a skip from {edit.source!r} to itself would close a loop")
    modules.check_takes_layers(target, edit.target)
    shortcut = None if edit.shortcut is None else modules.build(edit.shortcut, target, model, weightless=weightless)
    name = modules.free_name(target, edit.name)
    with torch.device("meta" if weightless else "cpu"):
        join = Join(edit.merge, shortcut, edit.at_init, edit.axis)
    modules.like(join, target, model)
    target.add_module(name, join)
    cell = Cell()
    if edit.source_occurrence is not None or edit.target_occurrence is not None:
        common = _common(edit.source, edit.target)
        modules.find(model, common).register_forward_pre_hook(Reset(cell), prepend=True)
    tap = Tap(cell, edit.source_occurrence, edit.clone)
    if edit.source:
        source.register_forward_hook(tap)
    else:
        model.register_forward_pre_hook(tap)
    target.register_forward_hook(JoinHook(cell, name, edit.target_occurrence))


def _common(a: str, b: str) -> str:
    """The nearest module around both."""
    parts = []
    for one, two in zip(a.split(".")[:-1], b.split(".")[:-1], strict=False):
        if one != two:
            break
        parts.append(one)
    return ".".join(parts)


def joins(module: nn.Module) -> dict[str, JoinHook]:
    """The skips that end at a module, by the name of their `Join`."""
    return {hook.name: hook for hook in hooks_of(module)[0].values() if isinstance(hook, JoinHook)}


def disconnect(model: nn.Module, path: str, name: str) -> None:
    """Take away a skip that `connect` added."""
    target = modules.find(model, path)
    hook = joins(target).get(name)
    if hook is None:
        known = ", ".join(joins(target)) or "none"
        raise SurgeryError(f"{path!r} has no added skip {name!r}; it has: {known}")
    for module in model.modules():
        for hooks in hooks_of(module):
            for key, other in list(hooks.items()):
                if isinstance(other, Tap | JoinHook | Reset) and other.cell is hook.cell:
                    del hooks[key]
    delattr(target, name)
