"""When a run ends before its last epoch: a rule that reads the epochs' records alone.

The rule is part of the spec, so a run that is cut and resumed, on whatever machine, ends where an uncut one does, and
nobody has to watch it. It never looks at the test images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from skipstone.core.errors import SkipstoneError

if TYPE_CHECKING:
    from skipstone.runs.records import EpochRecord

Ending = Literal["", "patience", "floor"]
"""How a run ended: after all its epochs, without a lower validation loss for long, or below a floor."""


@dataclass(frozen=True, slots=True)
class StopRule:
    """Both parts are off by default.

    `patience`: the run ends after so many epochs without a validation loss below the lowest before them, and what is
    tested is the network as it was after the epoch of the lowest. `floors[i]` is the validation accuracy (a fraction)
    below which the run is given up after epoch i + 1; None, or no entry, for an epoch that ends nothing.
    """

    patience: int | None = None
    floors: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        if self.patience is not None and self.patience < 1:
            raise SkipstoneError(f"patience is {self.patience}, expected at least 1 epoch")


def ending(rule: StopRule, records: "Sequence[EpochRecord]") -> Ending:
    """Why a run with these epochs behind it ends now; empty where the rule lets it go on."""
    if not records:
        return ""
    done = len(records)
    floor = rule.floors[done - 1] if done <= len(rule.floors) else None
    if floor is not None and not records[-1].val_accuracy >= floor:
        return "floor"
    if rule.patience is not None and done - lowest_loss_epoch(records) >= rule.patience:
        return "patience"
    return ""


def lowest_loss_epoch(records: "Sequence[EpochRecord]") -> int:
    """The first epoch of the lowest validation loss; one that is not finite counts as infinitely high."""
    losses = [record.val_loss if math.isfinite(record.val_loss) else math.inf for record in records]
    return records[losses.index(min(losses))].epoch
