"""Values for what would need data: conditions are true, numbers 1, masks keep everything. Each is noted as assumed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from skipstone.tracing.blame import pass_on
from skipstone.tracing.fakes import fake_tensor
from skipstone.tracing.nests import map_tensors, tensors_in
from skipstone.tracing.torch_internals import FakeTensorMode, no_torch_function, unset_fake_temporarily
from skipstone.tracing.values import Values

_TRUE = ("__bool__", "equal", "allclose", "is_nonzero", "__contains__")
_NUMBERS = ("item", "__int__", "__index__", "__float__", "__complex__")
_CONDITION = "took a data-dependent condition as true"
_NUMBER = "took a data-dependent number as 1"
_MASK = "took a data-dependent mask as all true"
# How often one line may ask in one call of a module: a loop that waits for the other answer must get it.
_REPEATS = 64
_DISTINCT = "took data-dependent values as all distinct"


_KNOWN_GAPS = {
    "pack_padded_sequence": "a packed sequence (pack_padded_sequence)",
    "pad_packed_sequence": "a packed sequence (pad_packed_sequence)",
    "nested_tensor": "a nested tensor",
    "as_nested_tensor": "a nested tensor",
    "nested_tensor_from_tensor_list": "a nested tensor",
}
Assumed = Callable[[tuple[int, ...], Sequence[torch.Tensor]], Any]


class Dataless:
    """What operations that ask for data give in a record: computed where the data is known, else made up.

    `assume` notes an assumption; `assumed` makes a tensor of a shape that autograd sees as made from the operands;
    `asked` counts how often the line at work has asked for data in this call of its module.
    """

    def __init__(
        self,
        values: Values,
        fake: FakeTensorMode,
        assume: Callable[[str], None],
        assumed: Assumed,
        asked: Callable[[], int],
    ) -> None:
        self._values, self._fake, self._assume, self._assumed, self._asked = values, fake, assume, assumed, asked

    def result(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], error: Exception
    ) -> object:
        """The result of a function that raised `error` for want of data, which is raised where nothing is known."""
        name, operands = getattr(func, "__name__", str(func)), tensors_in((args, kwargs))
        if self._values.can_compute(func, args, kwargs):
            found = self._values.compute(func, args, kwargs)
            if found is not None:
                return map_tensors(found, self._known_twin)
        if name == "masked_select":
            return self._selected(args, operands)
        if name in ("__getitem__", "__setitem__"):
            return self._indexed(func, name, args, operands)
        if name in _SHAPE_BY_RUN:
            return self._assumed(_shape_by_run(func, args, kwargs, self._values), operands)
        made = made_up(name, operands, kwargs)
        if made is None:
            what = _KNOWN_GAPS.get(name.partition(".")[0].strip("_"), f"what {name} gives")
            error.args = (f"{what} depends on data, which a record does not have",)
            raise error
        if name in _TRUE or name in _NUMBERS:
            made = _otherwise(made, self._asked())
        self._assume(made[1])
        # Values keep their gradient: what depends on data is how many there are.
        return map_tensors(
            made[0], lambda t: self._assumed(tuple(t.shape), operands) if t.dtype.is_floating_point else t
        )

    def in_numpy(self, tensor: torch.Tensor) -> object:
        """An array of a tensor's shape and type."""
        import numpy

        self._assume("took a tensor's data as ones")
        kind = str(tensor.dtype).removeprefix("torch.")
        return numpy.ones(tuple(tensor.shape), getattr(numpy, kind, numpy.float32))

    def _indexed(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], operands: Sequence[torch.Tensor]
    ) -> object:
        index, assumed = _without_data(args[1], self._values)
        for what in assumed:
            self._assume(what)
        if name == "__getitem__":
            return pass_on(func, (args[0], map_tensors(index, self._fake.from_tensor)))
        overwrite(args[0], self._assumed(tuple(args[0].shape), operands))
        return None

    def _selected(self, args: tuple[Any, ...], operands: Sequence[torch.Tensor]) -> object:
        source, mask = operands[:2]
        known = self._values.of(mask) if mask.shape == source.shape else None
        if known is None:
            self._assume(_MASK)
        count = max(source.numel(), mask.numel()) if known is None else len(_positions(mask, known))
        return self._assumed((count,), operands)

    def _known_twin(self, value: torch.Tensor) -> torch.Tensor:
        twin = fake_tensor(value, self._fake)
        self._values.know([twin], [value])
        return twin


def _otherwise(made: tuple[Any, str], asked: int) -> tuple[Any, str]:
    """What is made up for a condition or a number that one line has asked for so often.

    First as always, then the other answer; a number, where 0 is not waited for either, grows without end.
    """
    value, what = made
    if asked <= _REPEATS:
        return made
    words = f"{what}, and after {_REPEATS} times on one line as "
    if value is True:
        return False, f"{words}false"
    return type(value)(0 if asked <= 2 * _REPEATS else asked**2), f"{words}0, then ever larger"


def overwrite(target: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The in-place operation's target, as changed by it; a new tensor where autograd forbids the change."""
    with no_torch_function():
        try:
            return target.copy_(value)
        except RuntimeError:
            return value


def made_up(name: str, operands: Sequence[torch.Tensor], kwargs: Mapping[str, object]) -> tuple[object, str] | None:
    """A result for the function `name` and the words for the assumption, None where nothing sensible is known."""
    if name in _TRUE:
        return True, _CONDITION
    if not operands:
        return None
    source = operands[0]
    if name in _NUMBERS:
        return (1.0 if source.dtype.is_floating_point and name in ("item", "__float__") else 1), _NUMBER
    if name == "tolist":
        return _ones(tuple(source.shape)), _NUMBER
    if name in ("nonzero", "argwhere") or (name == "where" and len(operands) == 1):
        if name == "where" or kwargs.get("as_tuple"):
            return tuple(_indices(source, ()) for _ in range(max(1, source.dim()))), _MASK
        return _indices(source, (source.dim(),)), _MASK
    if name in ("unique", "unique_consecutive", "_unique2"):
        return _unique(source, kwargs), _DISTINCT
    if name == "repeat_interleave":
        return source.new_empty(source.shape), "took data-dependent repeats as 1"
    return None


def _without_data(index: object, values: Values) -> tuple[object, tuple[str, ...]]:
    """An index with positions for masks and numbers for 0-d tensors: torch's own rules then give the shape.

    Also told: what had to be assumed. The new tensors are real ones.
    """
    found: list[object] = []
    assumed: list[str] = []
    for item in index if isinstance(index, tuple) else (index,):
        if isinstance(item, slice):
            bounds = [_bound(part, values) for part in (item.start, item.stop, item.step)]
            ends = [part for part in (item.start, item.stop) if isinstance(part, torch.Tensor)]
            assumed += [_NUMBER] * any(values.of(end) is None for end in ends)
            found.append(slice(*bounds))
        elif not isinstance(item, torch.Tensor):
            found.append(item)
        elif item.dtype in (torch.bool, torch.uint8):
            known = values.of(item)
            assumed += [_MASK] * (known is None)
            found += [_positions(item, known)] * item.dim() if item.dim() else [None]
        else:
            found.append(0 if item.dim() == 0 else item)
    return tuple(found), tuple(assumed)


def _bound(value: object, values: Values) -> object:
    """An end of a slice as a number, 1 where it is a tensor that is not known."""
    if not isinstance(value, torch.Tensor):
        return value
    known = values.of(value)
    with no_torch_function(), unset_fake_temporarily():
        return 1 if known is None else int(known)


def _positions(mask: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
    with no_torch_function(), unset_fake_temporarily():
        count = mask.numel() if known is None else int(known.count_nonzero())
        return torch.zeros(count, dtype=torch.int64)


# Composites of many operations that look at data only to refuse it; one run on ones tells their shape.
_SHAPE_BY_RUN = ("istft",)


def _shape_by_run(
    func: Callable[..., torch.Tensor],
    args: Sequence[object],
    kwargs: Mapping[str, object],
    values: Values,
) -> tuple[int, ...]:
    """The shape of what a function gives for ones, and for the values that are known."""

    def real(tensor: torch.Tensor) -> torch.Tensor:
        known = values.of(tensor)
        return torch.ones(tuple(tensor.shape), dtype=tensor.dtype) if known is None else known

    with no_torch_function(), unset_fake_temporarily(), torch.no_grad():
        made: Any = map_tensors((tuple(args), dict(kwargs)), real)
        return tuple(func(*made[0], **made[1]).shape)


def _ones(shape: tuple[int, ...]) -> object:
    return [_ones(shape[1:]) for _ in range(shape[0])] if shape else 1


def _indices(mask: torch.Tensor, rest: tuple[int, ...]) -> torch.Tensor:
    return mask.new_empty((mask.numel(), *rest), dtype=torch.int64)


def _unique(source: torch.Tensor, kwargs: Mapping[str, object]) -> object:
    along = kwargs.get("dim")
    count = source.numel() if not isinstance(along, int) else source.shape[along]
    values = source.new_empty((count,)) if not isinstance(along, int) else source.new_empty(source.shape)
    extra = [source.new_empty(source.shape if along is None else (count,), dtype=torch.int64)] * bool(
        kwargs.get("return_inverse")
    ) + [source.new_empty((count,), dtype=torch.int64)] * bool(kwargs.get("return_counts"))
    return (values, *extra) if extra else values
