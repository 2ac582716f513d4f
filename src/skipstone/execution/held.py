"""What the modules of a copy hold at one moment: to tell what a call has changed, and to put it back."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from skipstone.execution.copying import RealClone
from skipstone.tracing.torch_internals import Table, buffers_of, parameters_of

Kind = Literal["attribute", "parameter", "buffer"]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One thing that a module holds: the module's path, its name there, and as what."""

    path: str
    name: str
    kind: Kind


Held = Mapping[Key, object]
_MISSING = object()
_OF_TORCH = frozenset(vars(nn.Module()))
_DEPTH = 4  # of containers in containers


def held(clone: RealClone) -> Held:
    """Parameters, buffers and plain attributes of all modules; tensors and containers as copies."""
    return {key: _copy(table[key.name]) for key, table in _everything(clone)}


def changed(before: Held, after: Held) -> tuple[Key, ...]:
    """What differs, or is there only afterwards, in order."""
    return tuple(sorted(key for key in after if not _same(before.get(key, _MISSING), after[key])))


def restore(clone: RealClone, before: Held, keys: Iterable[Key]) -> None:
    """Put back what is named; what was not there is taken away."""
    wanted = set(keys)
    for key, table in list(_everything(clone)):
        if key not in wanted:
            continue
        old = before.get(key, _MISSING)
        if old is _MISSING:
            del table[key.name]
        elif key.kind == "attribute" or not isinstance(old, torch.Tensor):
            table[key.name] = _copy(old)
        else:
            _overwrite(table, key.name, old)


def tensors_held(clone: RealClone) -> Iterator[torch.Tensor]:
    """The tensors among plain attributes, those in containers included."""
    for key, table in _everything(clone):
        if key.kind == "attribute":
            yield from _tensors(table[key.name], _DEPTH)


def _everything(clone: RealClone) -> Iterator[tuple[Key, Table]]:
    for module in clone.modules():
        path = clone.paths.get(id(module), "")
        tables: tuple[tuple[Kind, Table], ...] = (
            ("parameter", parameters_of(module)),
            ("buffer", buffers_of(module)),
            ("attribute", vars(module)),
        )
        for kind, table in tables:
            for name in table:
                if kind != "attribute" or name not in _OF_TORCH:
                    yield Key(path, name, kind), table


def _overwrite(table: Table, name: str, old: torch.Tensor) -> None:
    """A weight stays the object that it is, if it still is of its shape: others may hold it too."""
    now = table[name]
    if isinstance(now, torch.Tensor) and now.shape == old.shape:
        with torch.no_grad():
            now.copy_(old)
    else:
        table[name] = nn.Parameter(old.clone()) if isinstance(now, nn.Parameter) else old.clone()


def _copy(value: object, depth: int = _DEPTH) -> object:
    if isinstance(value, torch.Tensor):
        return value if is_lazy(value) else value.detach().clone()
    if depth and type(value) in (list, tuple, set, deque):
        return type(value)(_copy(item, depth - 1) for item in value)  # type: ignore[attr-defined, call-arg]
    if depth and type(value) is dict:
        return {name: _copy(item, depth - 1) for name, item in value.items()}
    return value


def _same(one: object, two: object) -> bool:
    if one is two:
        return True
    if type(one) is not type(two) and not (isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor)):
        return False
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return one.shape == two.shape and one.dtype == two.dtype and bool(torch.equal(one, two))
    if isinstance(one, list | tuple | deque) and isinstance(two, list | tuple | deque):
        return len(one) == len(two) and all(map(_same, one, two))
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[name], two[name]) for name in one)
    return bool(one == two) if isinstance(one, bool | int | float | complex | str | bytes | set) else False


def _tensors(value: object, depth: int) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, list | tuple | set | deque):
        for item in value:
            yield from _tensors(item, depth - 1)
    elif depth and isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item, depth - 1)
