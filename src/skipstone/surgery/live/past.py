"""The network before its edits: put back after an error, and on demand by `revert`."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skipstone.surgery.live import edited
from skipstone.tracing import Example, parse_example
from skipstone.tracing.nests import map_tensors

_PAST = "_skipstone_past"
_SMALL = 4096  # values


@dataclass(frozen=True)
class Change:
    """One module: the edits of its class as they were, attributes to put back, names to delete."""

    module: nn.Module
    stages: edited.Stages
    attributes: Mapping[str, object]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """What the outputs of the network computed before and after an edit, by fingerprint, for this example."""

    example: Example
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]


@dataclass(frozen=True)
class Step:
    """One application of edits: what it changed, and its record where there is one."""

    changes: tuple[Change, ...]
    record: Record | None


class Past:
    """The steps that led to a network, the latest last. Copies keep them; files do not: a saved network is done."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def __deepcopy__(self, memo: dict[int, object]) -> "Past":
        new = Past()
        memo[id(self)] = new
        new.steps = copy.deepcopy(self.steps, memo)
        return new

    def __reduce__(self) -> tuple[type["Past"], tuple[()]]:
        return Past, ()


def outline(example: object) -> Example:
    """An example by its shapes alone, to be kept; small tables of whole numbers as they are."""

    def light(tensor: Tensor) -> Tensor:
        keep = not tensor.is_floating_point() and tensor.numel() <= _SMALL
        return tensor.detach() if keep else torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    parsed = parse_example(example)
    args = tuple(map_tensors(value, light) for value in parsed.args)
    return Example(args, {key: map_tensors(value, light) for key, value in parsed.kwargs.items()})


def steps_of(model: nn.Module) -> tuple[Step, ...]:
    past = model.__dict__.get(_PAST)
    return tuple(past.steps) if isinstance(past, Past) else ()


def set_steps(model: nn.Module, steps: tuple[Step, ...]) -> None:
    """Keep the steps with the model; without any it keeps nothing of ours."""
    model.__dict__.pop(_PAST, None)
    if steps:
        past = model.__dict__[_PAST] = Past()
        past.steps += steps


class Undo:
    """The modules of a model as they stand, to put back after an error or on demand."""

    def __init__(self, model: nn.Module) -> None:
        self.before = [(module, module.__class__, _shallow(module.__dict__)) for module in model.modules()]

    def __call__(self) -> None:
        for module, cls, attributes in self.before:
            module.__class__ = cls
            module.__dict__.clear()
            module.__dict__.update(attributes)

    def changed(self) -> tuple[Change, ...]:
        """What has changed since."""
        found = []
        for module, cls, attributes in self.before:
            names = {n for n in {*attributes, *module.__dict__} if not _same(attributes.get(n), module.__dict__.get(n))}
            if names or cls is not module.__class__:
                old = {n: attributes[n] for n in names if n in attributes}
                found.append(Change(module, edited.stages_of_class(cls), old, tuple(sorted(names - old.keys()))))
        return tuple(found)


def restore(step: Step) -> None:
    """Put back what a step changed."""
    for change in step.changes:
        for name in change.added:
            change.module.__dict__.pop(name, None)
        for name, value in change.attributes.items():
            change.module.__dict__[name] = copy.copy(value) if isinstance(value, dict) else value
        edited.set_stages(change.module, change.stages)


def _same(a: object, b: object) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(a[key] is b[key] for key in a)
    return a is b


def _shallow(attributes: Mapping[str, object]) -> dict[str, object]:
    return {name: copy.copy(value) if isinstance(value, dict) else value for name, value in attributes.items()}
