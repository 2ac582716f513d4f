"""What the callbacks for training frameworks share: a watch that is attached and taken off again."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from skipstone.flow.watching import FlowLogger, Watch


class WatchingCallback:
    """Mixed into a framework's own callback class; `flow` is a `Watch` once training has begun."""

    def __init__(self, every: int, outputs: bool, skips: bool, loggers: Sequence[FlowLogger]) -> None:
        self.flow: Watch | None = None
        self._settings = every, outputs, skips, loggers
        self._handles: list[Any] = []

    def attach(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        """Begin anew; hooks of a training before, which an exception may have left, come off."""
        self.detach()
        every, outputs, skips, loggers = self._settings
        self.flow = Watch(model, optimizers, every, outputs=outputs, skips=skips, loggers=loggers)
        self._handles = self.flow.attach()

    def begin_epoch(self, epoch: int) -> None:
        """Epochs count from 1."""
        if self.flow is not None:
            self.flow.epoch = epoch

    def detach(self) -> None:
        """Take the hooks off; the records stay."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self.flow is not None:
            self.flow.finish()
