"""A callback for the Hugging Face Trainer that watches a training's gradient flow.

trainer = transformers.Trainer(..., callbacks=[FlowCallback(every=50)])
"""

from collections.abc import Sequence
from typing import Any

from skipstone.core.errors import SkipstoneError
from skipstone.flow.watching import FlowLogger, Watch


def FlowCallback(every: int = 50, *, outputs: bool = True, loggers: Sequence[FlowLogger] = ()) -> Any:  # noqa: N802
    """A `transformers.TrainerCallback`; its `flow` is a `Watch` once training has begun.

    The Trainer tells its callbacks of the beginning and the end. After an exception the hooks are taken off by
    `detach()`, or by the next training's beginning.

    Raises:
        SkipstoneError: transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise SkipstoneError("the callback needs transformers: pip install transformers") from error

    class _FlowCallback(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.flow: Watch | None = None
            self._handles: list[Any] = []

        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            self.detach()
            self.flow = Watch(given["model"], [given["optimizer"]], every, outputs=outputs, loggers=loggers)
            self._handles = self.flow.attach()

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            if self.flow is not None:
                self.flow.epoch = int(state.epoch or 0) + 1

        def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            self.detach()

        def detach(self) -> None:
            """Take the hooks off; the records stay."""
            for handle in self._handles:
                handle.remove()
            self._handles = []
            if self.flow is not None:
                self.flow.finish()

    return _FlowCallback()
