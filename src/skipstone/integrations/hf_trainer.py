"""A callback for the Hugging Face Trainer that watches a training's gradient flow.

trainer = transformers.Trainer(..., callbacks=[FlowCallback(every=50)])
"""

from collections.abc import Sequence
from typing import Any

from skipstone.core.errors import SkipstoneError
from skipstone.flow.watching import FlowLogger
from skipstone.integrations.watching_callback import WatchingCallback


def FlowCallback(  # noqa: N802
    every: int = 50, *, outputs: bool = True, skips: bool = False, loggers: Sequence[FlowLogger] = ()
) -> Any:
    """A `transformers.TrainerCallback`; its `flow` is a `Watch` once training has begun. Arguments as for `watch`.

    The Trainer tells its callbacks of the beginning and the end. After an exception the hooks are taken off by
    `detach()`, or by the next training's beginning.

    Raises:
        SkipstoneError: transformers is not installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise SkipstoneError("the callback needs transformers: pip install transformers") from error

    class _FlowCallback(WatchingCallback, TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            self.attach(given["model"], [given["optimizer"]])

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            self.begin_epoch(int(state.epoch or 0) + 1)

        def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
            self.detach()

    return _FlowCallback(every, outputs, skips, loggers)
