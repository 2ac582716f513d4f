"""A callback for Lightning that watches a training's gradient flow.

    trainer = lightning.Trainer(callbacks=[FlowCallback(every=50)])

Lightning is imported where the callback is made, whichever of its two packages is installed.
"""

from collections.abc import Sequence
from typing import Any

from skipstone.core.errors import SkipstoneError
from skipstone.flow.watching import FlowLogger
from skipstone.integrations.watching_callback import WatchingCallback


def FlowCallback(every: int = 50, *, outputs: bool = True, loggers: Sequence[FlowLogger] = ()) -> Any:  # noqa: N802
    """A `lightning.Callback`; its `flow` is a `Watch` once training has begun.

    The records stay when training ends, by an exception too, and no hook is left. With manual optimization every
    optimizer counts. What each skip contributes is not measured: a `training_step` calls parts of the module, and which
    is "the network" is not known; use `watch` on that part. Under FSDP a `SkipstoneError` ends the training at once.

    Raises:
        SkipstoneError: neither `lightning` nor `pytorch_lightning` is installed.
    """
    base = _callback_class()

    class _FlowCallback(WatchingCallback, base):  # type: ignore[misc, valid-type]
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self.attach(pl_module, trainer.optimizers)

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if self.flow is not None:
                self.flow.begin_pass(pl_module)  # `training_step` need not call the module itself

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            self.begin_epoch(trainer.current_epoch + 1)

        def on_train_end(self, trainer: Any, pl_module: Any) -> None:
            self.detach()

        def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
            self.detach()

    return _FlowCallback(every, outputs, False, loggers)


def _callback_class() -> type:
    try:
        from lightning import Callback
    except ImportError:
        try:
            from pytorch_lightning import Callback
        except ImportError as error:
            raise SkipstoneError("the callback needs Lightning: pip install lightning") from error
    found: type = Callback
    return found
