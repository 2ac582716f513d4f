"""What a caller of `train` may watch: a few moments, none of which can change the run."""

from typing import Protocol

from skipstone.runs.records import EpochRecord, RunSpec


class Progress(Protocol):
    """Told of a run as it goes."""

    def noted(self, text: str) -> None:
        """A line that the user should see: the network's layout, a checkpoint that could not be read."""

    def started(self, spec: RunSpec, steps_per_epoch: int, epochs_done: int) -> None:
        """Before the first step; `epochs_done` is above 0 where a run resumes."""

    def stepped(self, epoch: int) -> None:
        """After every optimizer step of `epoch`."""

    def finished_epoch(self, record: EpochRecord) -> None:
        """After the epoch's checkpoint is safely written."""


class Silent:
    """Watches nothing."""

    def noted(self, text: str) -> None:
        pass

    def started(self, spec: RunSpec, steps_per_epoch: int, epochs_done: int) -> None:
        pass

    def stepped(self, epoch: int) -> None:
        pass

    def finished_epoch(self, record: EpochRecord) -> None:
        pass
