"""The overfitting watch: when validation turned, and which epoch was best."""

import math
from collections.abc import Sequence

from skipstone.runs.records import EpochRecord

TOLERANCE = 0.01
"""By which share the validation loss must have risen above its lowest for it to count as turned."""


def turned_epoch(records: Sequence[EpochRecord]) -> int | None:
    """The epoch of the lowest validation loss if by the last epoch it has risen by more than `TOLERANCE`, else None.

    A loss that is not finite counts as infinitely high.
    """
    losses = [r.val_loss if math.isfinite(r.val_loss) else math.inf for r in records]
    lowest = min(losses, default=math.inf)
    if lowest == math.inf or losses[-1] <= lowest * (1 + TOLERANCE):
        return None
    return records[losses.index(lowest)].epoch


def best_epoch(records: Sequence[EpochRecord]) -> EpochRecord:
    """The first record of the highest validation accuracy."""
    return max(records, key=lambda r: r.val_accuracy)
