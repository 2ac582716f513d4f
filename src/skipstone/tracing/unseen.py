"""The thread behind tensors that no torch function showed: script functions, custom autograd functions, vmap, views."""

from collections.abc import Callable

import torch

from skipstone.tracing.blame import pass_on
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.torch_internals import TorchDispatchMode, unwrapped, viewed


class Link(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers which tensors came of which, while `watching`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parents: dict[int, list[torch.Tensor]] = {}
        self.watching = True
        self._keep: list[object] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = pass_on(func, args, kwargs)
        if self.watching:
            sources = tensors_in((args, kwargs))
            for tensor in tensors_in(result):
                known = self.parents.setdefault(id(tensor), [])
                known.extend(source for source in sources if source is not tensor)
                self._keep.append(tensor)
        return result

    def ancestors(self, tensor: torch.Tensor, number: Callable[[int], int | None]) -> tuple[int, ...]:
        """The nearest tensors behind this one whose ids have a number, as those numbers in order."""
        seen: set[int] = set()
        found: set[int] = set()
        pending = [tensor]
        while pending:
            current = pending.pop()
            if id(current) in seen:
                continue
            seen.add(id(current))
            known = number(id(current))
            if known is not None:
                found.add(known)
            else:
                pending.extend(self.parents.get(id(current), ()))
                pending.extend(_below(current))
        return tuple(sorted(found))


def _below(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What a batched tensor of vmap wraps, and what a view looks at."""
    below = unwrapped(tensor)
    below = viewed(tensor) if below is None else below
    return () if below is None else (below,)


def wrapped(tensor: torch.Tensor) -> torch.Tensor | None:
    """The tensor inside one that vmap or another transform of functions wrapped, None where it is bare."""
    inner = unwrapped(tensor)
    while inner is not None and (below := unwrapped(inner)) is not None:
        inner = below
    return inner
