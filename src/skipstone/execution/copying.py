"""A copy of a model with its own weights, to be run and thrown away: nothing of the user's is touched by it.

The same walk that makes fake twins for a record makes these, so that a hook that closed over a list, or a forward that
stores on `self`, writes to the copy's own.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from skipstone.tracing.clone import Clone
from skipstone.tracing.torch_internals import FakeTensor, buffers_of, parameters_of


class CopyError(Exception):
    """A model of which no copy can be made; the text says why."""


class RealClone(Clone):
    """Twins with tensors of their own memory and the same values; a parameter stays one, without its gradient."""

    def _twin(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_meta or isinstance(tensor, FakeTensor):
            raise CopyError("its weights are on the meta device")
        if is_lazy(tensor) or type(tensor) not in _PLAIN_TENSORS:
            return _deep_copy(tensor)
        twin = tensor.detach().clone()
        if isinstance(tensor, nn.Parameter):
            return nn.Parameter(twin, tensor.requires_grad)
        return twin.requires_grad_(tensor.requires_grad)

    def owns(self, tensor: torch.Tensor) -> bool:
        """Is it one of the copy's own tensors, registered or not?"""
        return any(tensor is twin for twin in self._memo.values())

    def _leave_unsized(self, twin: nn.Module) -> None:
        for table in (parameters_of(twin), buffers_of(twin)):
            table.update({name: _deep_copy(tensor) for name, tensor in table.items() if is_lazy(tensor)})


_PLAIN_TENSORS = (torch.Tensor, nn.Parameter, nn.Buffer)


def _deep_copy(tensor: torch.Tensor) -> torch.Tensor:
    try:
        with torch.no_grad():
            return copy.deepcopy(tensor)
    except Exception as error:
        raise CopyError(f"a {type(tensor).__name__} of it cannot be copied: {error}") from error


def copied(model: nn.Module, *, without: Sequence[RemovableHandle] = ()) -> RealClone:
    """A copy of the model, with the names and paths of what it holds, and its hooks but for those `without`.

    Raises:
        CopyError: a weight has no values (meta device), or cannot be copied.
    """
    with _aside(without), torch.no_grad():
        return RealClone(model)


@contextmanager
def _aside(handles: Sequence[RemovableHandle]) -> Iterator[None]:
    """Within, these hooks are off; afterwards each is where it stood."""
    tables = [
        table for handle in handles for ref in (handle.hooks_dict_ref, *handle.extra_dict_ref) if (table := ref())
    ]
    kept = {id(table): (table, dict(table)) for table in tables}
    for handle in handles:
        for table in tables:
            table.pop(handle.id, None)
    try:
        yield
    finally:
        for table, before in kept.values():
            table.clear()
            table.update(before)
