"""What runs in place of an edited expression: the call taken apart, its operands changed, the call made.

One `Site` handler stands for one expression. It holds the edits in stages, one for each application of edits to the
network: operands are numbered as the record of the network before that stage numbers them.
"""

import builtins
import functools
import inspect
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skipstone.core.edit import DropOperand, MapOperand, OutOfPlace, SetArgument, TakeItem
from skipstone.graphs.operations import SIZED, canonical, operation
from skipstone.graphs.roles import JOINS
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.transforms import MEANINGS, Live, Use

SiteEdit = MapOperand | SetArgument | OutOfPlace | DropOperand | TakeItem
Stage = tuple[SiteEdit, ...]

_OPERATORS: Mapping[str, Callable[..., Any]] = {
    name: getattr(operator, name)
    for name in (
        "add", "sub", "mul", "truediv", "floordiv", "matmul", "pow", "mod", "and_", "or_", "xor", "neg", "invert",
        "pos",
        "iadd", "isub", "imul", "itruediv", "ifloordiv", "imatmul", "ipow", "imod", "iand", "ior", "ixor",
        "getitem", "setitem",
    )
}  # fmt: skip
_PLAIN_OF = {
    _OPERATORS[f"i{name.rstrip('_')}"]: _OPERATORS[name] for name in _OPERATORS if f"i{name.rstrip('_')}" in _OPERATORS
}
# Operations of two terms, and what is left of them without the first or the second.
REST: Mapping[str, tuple[str, str]] = {
    "add": ("other", "input"), "sub": ("minus", "input"), "rsub": ("other", "minus"), "mul": ("other", "input"),
    "div": ("", "input"), "maximum": ("other", "input"), "minimum": ("other", "input"), "max": ("other", "input"),
    "min": ("other", "input"), "fmax": ("other", "input"), "logaddexp": ("other", "input"),
}  # fmt: skip


_LISTS = (tuple, list)  # the compiler of torch 2.6 does not know `tuple | list`


@dataclass(frozen=True)
class _Change:
    """One `MapOperand` made ready."""

    operand: int
    like: int | None
    live: Live

    @classmethod
    def of(cls, edit: MapOperand, op: str) -> "_Change":
        live = MEANINGS[edit.transform.kind].live(Use.of(edit.transform, op, edit.name))
        return cls(edit.operand, edit.transform.like, live)


class Stages:
    """The edits of one stage that apply to one run of the expression, made ready."""

    def __init__(self, edits: Sequence[SiteEdit]) -> None:
        self.op = edits[0].site.op
        self.maps = [_Change.of(edit, self.op) for edit in edits if isinstance(edit, MapOperand)]
        self.sets = [(edit.name, edit.value) for edit in edits if isinstance(edit, SetArgument)]
        self.drops = sorted({edit.operand for edit in edits if isinstance(edit, DropOperand)})
        self.out_of_place = any(isinstance(edit, OutOfPlace) for edit in edits)
        self.takes = [edit.index for edit in edits if isinstance(edit, TakeItem)]
        self.names = argument_names(self.op)
        if self.drops and self.op not in JOINS and (self.op not in REST or len(self.drops) > 1):
            raise SurgeryError(_no_drop(self.op, self.drops))
        if self.drops and self.op in REST and not REST[self.op][self.drops[0] > 0]:
            raise SurgeryError(_no_drop(self.op, self.drops))


def _no_drop(op: str, drops: Sequence[int]) -> str:
    which = " and ".join(map(str, drops))
    possible = ", ".join((*REST, *sorted(JOINS)))
    return f"operand {which} cannot be taken out of {op!r}; terms can be taken out of {possible}"


@functools.cache
def argument_names(op: str) -> tuple[str, ...]:
    """The argument names of an operation in order; none where they are not known."""
    if known := operation(op).arguments:
        return known
    for space in (F, torch):
        function = getattr(space, op, None)
        try:
            return tuple(inspect.signature(function).parameters) if callable(function) else ()
        except (TypeError, ValueError):
            continue
    return ()


# How often each line of an edited module has run in the call at hand, for each module by its id (replicas share their
# class); None outside of calls. It is held by the edited functions and not by the module: torch.export of torch 2.6
# refuses a module that writes to an attribute of its own.
Counter = dict[int, dict[str, int] | None]


class SiteHandler:
    """Stands for one expression. `stages[n]` maps a run of the expression (None: every run) to the edits of stage n."""

    def __init__(self, key: str, stages: Sequence[Mapping[int | None, Stage]], counter: Counter) -> None:
        self.stages = [{run: Stages(edits) for run, edits in stage.items()} for stage in stages]
        self.counters = [
            f"{key}:{n}" if any(run is not None for run in stage) else "" for n, stage in enumerate(stages)
        ]
        self.counts = any(self.counters)
        self.counter = counter

    def __call__(self, module: nn.Module, runs: Any, target: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        function: Any
        if target is None:
            function = _OPERATORS[name]
        elif not name:
            function = target
        elif isinstance(target, Tensor):
            return self._run(module, runs, getattr(Tensor, name), (target, *args), kwargs)
        else:
            function = getattr(target, name)
        while isinstance(function, functools.partial):
            function, args, kwargs = function.func, (*function.args, *args), {**function.keywords, **kwargs}
        if function is builtins.sum:
            return self._sum(module, runs, *args, **kwargs)
        if function is functools.reduce:
            return self._reduce(module, runs, *args)
        return self._run(module, runs, function, args, kwargs)

    def _sum(self, module: nn.Module, runs: Any, terms: Any, start: Any = 0) -> Any:
        for term in terms:
            start = self._run(module, runs, operator.add, (start, term), {})
        return start

    def _reduce(self, module: nn.Module, runs: Any, function: Any, terms: Any, *start: Any) -> Any:
        items = iter(terms)
        total = start[0] if start else next(items)
        for term in items:
            total = self._run(module, runs, function, (total, term), {})
        return total

    def _run(self, module: nn.Module, runs: Any, function: Any, args: Any, kwargs: Any) -> Any:
        takes: list[int] = []
        for stage, key in zip(self.stages, self.counters, strict=True):
            if function is _value:
                break  # an earlier stage left nothing to record here: later ones do not count this run
            number = self._count(module, runs, key) if key else None
            for run, edits in stage.items():
                if run is None or run == number:
                    function, args, kwargs = _edited(edits, module, function, args, kwargs)
                    takes += edits.takes
        result = function(*args, **kwargs)
        for index in takes:
            result = result[index]
        return args[0] if function is operator.setitem else result

    def _count(self, module: nn.Module, runs: dict[str, int] | None, key: str) -> int:
        counted = self.counter.get(id(module)) if runs is None else runs
        if counted is None:
            raise SurgeryError(
                "an edit for one run of a line was reached outside the call of its module, as when activation "
                "checkpointing runs a part of it again; checkpoint the whole module instead, or edit every run"
            )
        number = counted.get(key, 0)
        counted[key] = number + 1
        return number


def _edited(edits: Stages, module: nn.Module, function: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """The call after one stage."""
    if edits.maps:
        operands = tensors_of((args, kwargs))
        for change in edits.maps:
            if max(change.operand, change.like or 0) < len(operands):  # `total + s` begins with a number
                operands[change.operand] = _changed(change, module, operands)
        args, kwargs = _with_tensors((args, kwargs), operands, [])
    for name, value in edits.sets:
        args, kwargs = _with_argument(edits, args, kwargs, name, value)
    if edits.out_of_place:
        function, args, kwargs = _out_of_place(edits, function, args, kwargs)
    if edits.drops and edits.op in JOINS:
        return function, *_without_listed(edits.drops, args, kwargs)
    if edits.drops:
        return _value, (_rest(edits, args, kwargs),), {}
    return function, args, kwargs


def _value(value: Any) -> Any:
    return value


def _changed(change: _Change, module: nn.Module, operands: list[Tensor]) -> Tensor:
    operand = operands[change.operand]
    return change.live(operand, operand if change.like is None else operands[change.like], module)


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors among a call's arguments in order, as the recorder numbers them."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, _LISTS):
        return [tensor for item in value for tensor in tensors_of(item)]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in tensors_of(item)]
    return []


def _with_tensors(value: Any, tensors: list[Tensor], taken: list[int]) -> Any:
    """The same nest of arguments with its tensors replaced, in order; `taken` counts them by its length."""
    if isinstance(value, Tensor):
        taken.append(0)
        return tensors[len(taken) - 1]
    if isinstance(value, _LISTS):
        items = [_with_tensors(item, tensors, taken) for item in value]
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        return {key: _with_tensors(item, tensors, taken) for key, item in value.items()}
    return value


def _with_argument(edits: Stages, args: Any, kwargs: Any, name: str, value: Any) -> tuple[Any, Any]:
    if SIZED.get(edits.op) == name:
        return (args[0], value), {}
    if name in edits.names and edits.names.index(name) < len(args):
        position = edits.names.index(name)
        return (*args[:position], value, *args[position + 1 :]), kwargs
    other = {"dim": "axis", "axis": "dim"}.get(name)
    return args, {**{key: kept for key, kept in kwargs.items() if key != other}, name: value}


def _out_of_place(edits: Stages, function: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    if function in _PLAIN_OF:
        return _PLAIN_OF[function], args, kwargs
    if function is operator.setitem:
        return function, (args[0].clone(), *args[1:]), kwargs
    if "inplace" in edits.names and edits.names.index("inplace") < len(args):
        position = edits.names.index("inplace")
        return function, (*args[:position], False, *args[position + 1 :]), kwargs
    if "inplace" in kwargs:
        return function, args, {**kwargs, "inplace": False}
    name = function.__name__
    if name.endswith("_") and not name.endswith("__"):
        for space in (Tensor, torch, F):
            if hasattr(space, canonical(name)):
                return getattr(space, canonical(name)), args, kwargs
    return function, args, {key: value for key, value in kwargs.items() if key != "out"}


def _without_listed(drops: Sequence[int], args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Without some of the tensors in the list of a concatenation."""
    listed = args[0] if args else kwargs["tensors"]
    kept = [tensor for number, tensor in enumerate(listed) if number not in drops]
    return ((kept, *args[1:]), kwargs) if args else (args, {**kwargs, "tensors": kept})


def _rest(edits: Stages, args: Any, kwargs: Any) -> Any:
    """What is left of an operation of two terms. `sub(a, b)` without `a` is `-b`; `add(a, b, alpha=2)` is `2 * b`."""
    both = [*args, *(kwargs[name] for name in ("input", "other") if name in kwargs)]
    if len(both) < 2 or len(tensors_of((args, kwargs))) < 2:
        raise SurgeryError(f"{edits.op!r} has one tensor only here; nothing can be taken out of it")
    rest = REST[edits.op][edits.drops[0]]
    if rest == "input":
        return both[0]
    scale = kwargs.get("alpha", 1)
    if edits.op == "rsub":  # other - alpha * input
        return both[1] if rest == "other" else -(both[0] if scale == 1 else scale * both[0])
    term = both[1] if scale == 1 else scale * both[1]
    return -term if rest == "minus" else term
