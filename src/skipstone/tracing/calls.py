"""Which module is running: the calls of the cloned modules, nested, from the forward hooks they are given."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from skipstone.core.graph import ModuleCall, Place
from skipstone.tracing.keras_places import called_at
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.position import places


@dataclass
class _Running:
    """A module call under way."""

    index: int
    path: str
    occurrence: int
    parent: int
    first: int
    inputs: tuple[int, ...]
    place: Place | None
    site: Place | None
    built_at: Place | None  # the line that put a Keras layer into its model
    handled: BaseException | None  # what the caller was handling when the call began


class Calls:
    """The stack of running calls and the list of finished ones.

    `paths` names modules by id, `known` gives the node of a tensor or None, `look_up` its node for certain, `count` the
    number of nodes so far.
    """

    def __init__(
        self,
        paths: dict[int, str],
        known: Callable[[torch.Tensor], int | None],
        look_up: Callable[[torch.Tensor], int],
        count: Callable[[], int],
    ) -> None:
        self._paths, self._known, self._look_up, self._count = paths, known, look_up, count
        self._stack: list[_Running] = []
        self._finished: list[ModuleCall] = []
        self._occurrences: dict[str, int] = {}
        self._begun = 0

    def watch(self, modules: Iterable[nn.Module]) -> None:
        """Follow the calls of these modules by hooks of their own."""
        for module in modules:
            module.register_forward_pre_hook(self._enter, with_kwargs=True, prepend=True)
            module.register_forward_hook(self._leave, always_call=True)

    @property
    def path(self) -> str:
        return self._stack[-1].path if self._stack else ""

    @property
    def current(self) -> int:
        """The index of the running call, -1 for none."""
        return self._stack[-1].index if self._stack else -1

    def finish(self) -> tuple[ModuleCall, ...]:
        """Close what an error left open; the calls in the order they began."""
        while self._stack:
            self._end(self._stack.pop(), ())
        return tuple(sorted(self._finished, key=lambda call: call.index))

    def _enter(self, module: nn.Module, args: object, kwargs: object) -> None:
        path = self._paths.get(id(module), "")
        occurrence = self._occurrences.get(path, 0)
        self._occurrences[path] = occurrence + 1
        inputs = tuple(i for t in tensors_in((args, kwargs)) if (i := self._known(t)) is not None)
        place, site = places()
        handled = sys.exc_info()[1]
        self._stack.append(
            _Running(
                self._begun,
                path,
                occurrence,
                self.current,
                self._count(),
                inputs,
                place,
                site,
                called_at(module),
                handled,
            )
        )
        self._begun += 1

    def _leave(self, module: nn.Module, args: object, output: object) -> None:
        path = self._paths.get(id(module), "")
        while self._stack:
            call = self._stack.pop()
            if call.path == path:
                # Torch calls this hook after an error too, with nothing for an output.
                raised = output is None and sys.exc_info()[1] is not call.handled
                outputs = tuple(self._look_up(t) for t in tensors_in(output))
                self._end(call, outputs, returned="" if raised else type(output).__name__)
                return
            self._end(call, ())  # an error left it before its own hook could run

    def _end(self, call: _Running, outputs: tuple[int, ...], returned: str = "") -> None:
        self._finished.append(
            ModuleCall(
                call.index,
                call.path,
                call.occurrence,
                call.parent,
                call.first,
                self._count(),
                call.inputs,
                outputs,
                bool(returned),
                call.place,
                returned,
                call.site,
                call.built_at,
            )
        )
