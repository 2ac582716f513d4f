"""Which tensors share memory, and what an in-place operation therefore changed besides its own argument."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from skipstone.tracing.torch_internals import storage_key, unwrapped

_LARGEST = 1 << 26  # elements of a storage beyond which overlap is judged by bounds alone


class Memory:
    """Numbers storages in the order met, and keeps every write to them."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._keep: list[object] = []
        self._writes: dict[int, list[tuple[int, torch.Tensor]]] = {}

    def number(self, tensor: torch.Tensor) -> int:
        """A number for the tensor's storage, -1 where it has none of its own."""
        if tensor.layout != torch.strided or unwrapped(tensor) is not None:
            return -1
        key = storage_key(tensor)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            self._keep.append(tensor.untyped_storage())
        return self._numbers[key]

    def write(self, storage: int, node: int, tensor: torch.Tensor) -> None:
        """Note that `node` wrote over `tensor`."""
        if storage >= 0:
            self._writes.setdefault(storage, []).append((node, tensor))

    def overwritten(self, storage: int, since: int, tensor: torch.Tensor) -> tuple[int, bool] | None:
        """The last write after node `since` into memory that `tensor` looks at: (its node, did it write all of it)."""
        for node, target in reversed(self._writes.get(storage, ())):
            if node <= since:
                return None
            if target is tensor:
                continue
            shared = _shared(target, tensor)
            if shared is not None:
                return node, shared
        return None


def _shared(written: torch.Tensor, seen: torch.Tensor) -> bool | None:
    """None where the two have no element in common, else whether all of `seen` lies in `written`."""
    if _geometry(written) == _geometry(seen):
        return True
    if not all(map(_is_plain, (written, seen))) or written.dtype != seen.dtype:
        return False
    offset = int(min(written.storage_offset(), seen.storage_offset()))
    end = max(map(_end, (written, seen)))
    if end - offset > _LARGEST:
        return False
    flags: NDArray[np.bool_] = np.zeros(end - offset, dtype=np.bool_)
    _elements(flags, written, offset)[...] = True
    found = _elements(flags, seen, offset)
    return bool(found.all()) if found.any() else None


def _is_plain(tensor: torch.Tensor) -> bool:
    sizes: Sequence[object] = (*tensor.shape, *tensor.stride(), tensor.storage_offset())
    return all(type(size) is int for size in sizes) and 0 not in tensor.shape


def _geometry(tensor: torch.Tensor) -> tuple[object, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.storage_offset(), tensor.dtype


def _end(tensor: torch.Tensor) -> int:
    steps = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return int(tensor.storage_offset()) + 1 + steps


def _elements(flags: NDArray[np.bool_], tensor: torch.Tensor, offset: int) -> NDArray[np.bool_]:
    return np.lib.stride_tricks.as_strided(
        flags[tensor.storage_offset() - offset :], tuple(tensor.shape), tensor.stride()
    )
