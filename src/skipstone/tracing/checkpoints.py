"""Checkpointed calls while recording: what each saved, which is what it was called with, and the nodes made inside it.

A checkpoint saves the tensors among its arguments and computes everything else again, from these, in the backward pass.
Written over meanwhile they are refused like any saved tensor.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from skipstone.tracing.torch_internals import version


@dataclass(frozen=True)
class Checkpoint:
    """One call: its tensors with the versions they had, the numbers of their memories, the nodes recorded inside it.

    A `reentrant` one asks for its tensors whenever a gradient reaches it; another kind where something inside it has
    saved a tensor of its own.
    """

    saved: tuple[tuple[torch.Tensor, int], ...]
    memory: frozenset[int]
    nodes: range
    reentrant: bool

    @property
    def overwritten(self) -> bool:
        """Was one of its tensors written to since?"""
        return any(version(tensor) != before for tensor, before in self.saved)


class Checkpoints:
    """The checkpointed calls of one record; `number` names a tensor's memory, `count` the nodes so far."""

    def __init__(self, number: Callable[[torch.Tensor], int], count: Callable[[], int]) -> None:
        self.calls: list[Checkpoint] = []
        self._number, self._count = number, count
        self._inside = False

    @contextmanager
    def calling(self, tensors: Sequence[torch.Tensor], *, reentrant: bool) -> Iterator[None]:
        """Around a checkpointed call. Inside one that is not reentrant another is computed again with it."""
        if self._inside:
            yield
            return
        self._inside, first = not reentrant, self._count()
        saved = tuple((tensor, version(tensor)) for tensor in tensors)
        memory = frozenset(map(self._number, tensors))
        try:
            yield
        finally:
            self._inside = False
            self.calls.append(Checkpoint(saved, memory, range(first, self._count()), reentrant))
