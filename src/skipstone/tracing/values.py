"""Real values beside the fake tensors, for what a forward makes of no data: shapes, constants and small tables.

`torch.arange(1, x.dim()).tolist()`, a triangle's `nonzero()` and the count of a mask depend on no input: they are
computed, so that nothing about them is assumed. What was made of an input, a weight or by chance has no value here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from skipstone.graphs.operations import canonical, names
from skipstone.tracing.guards import REFUSALS
from skipstone.tracing.nests import map_tensors, tensors_in
from skipstone.tracing.torch_internals import FakeTensor, no_torch_function, unset_fake_temporarily

LARGEST = 2**18  # elements of one tensor: an image of 512 x 512, a causal mask for 512 tokens
TOTAL = 2**23  # elements computed in one record
_FACTORIES = frozenset(
    """arange zeros ones full tensor as_tensor from_numpy scalar_tensor linspace logspace eye triu_indices tril_indices
    empty hann_window hamming_window blackman_window bartlett_window kaiser_window""".split()
)
# Of the operations that ask for a shape alone those whose values do not depend on chance or on the operand's own.
_OF_SHAPES = frozenset("zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty".split())
_CHANCE = names("random") | frozenset(
    """randint randperm normal exponential cauchy geometric log_normal poisson dropout dropout1d dropout2d dropout3d
    feature_dropout alpha_dropout feature_alpha_dropout rrelu""".split()
)
_NOT_VALUES = frozenset("backward grad requires_grad retain_grad register_hook share_memory set resize".split())
SCALARS = frozenset(
    """__bool__ __int__ __index__ __float__ __complex__ __contains__ item tolist numpy __array__ equal allclose
    is_nonzero""".split()
)


class Values:
    """The values known in one record; `original` gives the user's own tensor that a fake one stands for."""

    def __init__(self, original: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
        self._original = original
        self._held: dict[int, torch.Tensor | None] = {}
        self._keep: list[torch.Tensor] = []
        self._spent = 0
        # Writes to buffers whose value nobody asked for yet (the counter of every batch norm): done when it is.
        self._waiting: dict[int, list[tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]]] = {}

    def of(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The value of a tensor of the record, None where it is not known. Not to be changed."""
        if id(tensor) not in self._held:
            source = self._original(tensor) if isinstance(tensor, FakeTensor) else tensor
            self._hold(tensor, None if source is None or not _is_readable(source) else self._copy(source))
            for write in self._waiting.pop(id(tensor), ()):
                self.compute(*write)
        return self._held[id(tensor)]

    def copy(self, source: torch.Tensor, twin: torch.Tensor) -> None:
        """Let a copy that the recorder made have its source's value."""
        value = self.of(source)
        self._hold(twin, None if value is None else self._copy(value))

    def knows_all(self, operands: Sequence[torch.Tensor]) -> bool:
        return bool(operands) and all(self.of(tensor) is not None for tensor in operands)

    def compute(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
        """What the function gives for the operands' values; `None` and a refusal of torch's are not told apart.

        In-place operations change the values that are held, as they change the tensors of the record.
        """
        real: Any = map_tensors((tuple(args), dict(kwargs)), self._stand_in)
        try:
            with no_torch_function(), unset_fake_temporarily(), torch.no_grad():
                return func(*real[0], **real[1])
        except REFUSALS:
            return None

    def follow(
        self,
        func: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        results: Sequence[torch.Tensor],
        changed: Sequence[torch.Tensor],
        operands: Sequence[torch.Tensor] = (),
    ) -> None:
        """Compute the values of an operation's results where its operands have theirs; else forget what it changed."""
        op = canonical(getattr(func, "__name__", ""))
        unknown = op not in _OF_SHAPES and any(self._held.get(id(tensor), tensor) is None for tensor in operands)
        if not unknown and self._can_wait(operands, changed):
            self._waiting.setdefault(id(operands[0]), []).append((func, args, kwargs))
            return
        if unknown or not self.can_compute(func, args, kwargs) or not self._affords(results):
            self._forget(changed)
            self._held.update({id(result): None for result in results if id(result) not in self._held})
            self._keep.extend(results)
            return
        values = tensors_in(self.compute(func, args, kwargs))
        if len(values) != len(results) or any(v.shape != r.shape for v, r in zip(values, results, strict=True)):
            self._forget((*changed, *results))
            return
        self.know(results, values)

    def know(self, results: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
        for result, value in zip(results, values, strict=True):
            self._hold(result, value)

    def can_compute(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Does the operation depend on no data: are all operands known, or asked for their shape alone?"""
        op = canonical(getattr(func, "__name__", ""))
        if op in _CHANCE or op in _NOT_VALUES or kwargs.get("generator") is not None or "out" in kwargs:
            return False
        operands = tensors_in((args, kwargs))
        if not operands:
            return op in _FACTORIES and not _has_symbols((args, kwargs))
        fixed = op in _OF_SHAPES or self.knows_all(operands)
        return fixed and not _has_symbols((args, kwargs, tuple(tuple(tensor.shape) for tensor in operands)))

    def _can_wait(self, operands: Sequence[torch.Tensor], changed: Sequence[torch.Tensor]) -> bool:
        """Is it a write to one tensor alone that was never looked at?"""
        return len(operands) == len(changed) == 1 and operands[0] is changed[0] and id(operands[0]) not in self._held

    def _affords(self, results: Sequence[torch.Tensor]) -> bool:
        sizes = [tensor.numel() for tensor in results]
        if any(not isinstance(size, int) or size > LARGEST for size in sizes) or self._spent + sum(sizes) > TOTAL:
            return False
        self._spent += sum(sizes)
        return True

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor's value, or, of one whose shape alone is asked for, that shape without memory behind it."""
        value = self.of(tensor)
        if value is not None:
            return value
        with no_torch_function(), unset_fake_temporarily():
            return torch.empty((), dtype=tensor.dtype).expand(tuple(tensor.shape))

    def _hold(self, tensor: torch.Tensor, value: torch.Tensor | None) -> None:
        self._held[id(tensor)] = value
        self._keep.append(tensor)

    def _forget(self, tensors: Sequence[torch.Tensor]) -> None:
        """The tensors, and what shares their memory, have no known value any more."""
        for tensor in tensors:
            self._waiting.pop(id(tensor), None)
            value = self._held.get(id(tensor))
            self._hold(tensor, None)
            if value is None:
                continue
            memory = value.untyped_storage().data_ptr()
            for key, other in self._held.items():
                if other is not None and other.untyped_storage().data_ptr() == memory:
                    self._held[key] = None

    def _copy(self, source: torch.Tensor) -> torch.Tensor:
        with no_torch_function(), unset_fake_temporarily(), torch.no_grad():
            return source.detach().clone()


def is_count(name: str, args: Sequence[Any]) -> bool:
    """Does a whole number go up by another, as in every batch norm? No shape and no gradient hangs on it.

    Torch need not be asked then.
    """
    counter = args[0] if name == "add_" and len(args) == 2 and isinstance(args[1], int) else None
    return isinstance(counter, FakeTensor) and counter.dim() == 0 and not counter.is_floating_point()


def _is_readable(source: torch.Tensor) -> bool:
    """A table, not a weight: small, with data, in this machine's memory."""
    plain = type(source) in (torch.Tensor, nn.Buffer) and source.layout == torch.strided and not source.is_quantized
    return plain and source.device.type == "cpu" and source.numel() <= LARGEST and not source.requires_grad


def _has_symbols(value: object) -> bool:
    """Is a size among the arguments that varies?"""
    if isinstance(value, tuple | list):
        return any(map(_has_symbols, value))
    if isinstance(value, Mapping):
        return any(map(_has_symbols, value.values()))
    if isinstance(value, slice):
        return _has_symbols((value.start, value.stop, value.step))
    return isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool)
