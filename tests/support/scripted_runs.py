"""A runner that trains nothing: it writes the folders of runs whose accuracies a function of the spec tells."""

from collections.abc import Callable
from pathlib import Path

from skipstone.experiments.runner import RunProgress, interrupted, kept, run_name
from skipstone.runs.folder import RunFolder
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import EpochRecord, RunResult, RunSpec
from skipstone.runs.stopping import ending

Quality = Callable[[RunSpec], float]


class ScriptedRunner:
    """`quality` is a run's accuracy after its last epoch, validation and test alike; before that less.

    `dies_after` runs the runner ends as by Ctrl-C. `seen` are the specs it was given and had not finished.
    """

    def __init__(self, quality: Quality, dies_after: int | None = None, fails: Callable[[RunSpec], bool] | None = None):
        self.quality, self.dies_after, self.fails = quality, dies_after, fails or (lambda spec: False)
        self.seen: list[RunSpec] = []

    on_this_machine = True

    def demand_ready(self):
        """Always."""

    def run(self, specs, *, watch=None):
        watch = watch or (lambda progress: None)
        outcomes = kept(specs, watch)
        for number, spec in enumerate(specs):
            if number in outcomes:
                continue
            if self.dies_after is not None and len(self.seen) >= self.dies_after:
                outcomes[number] = interrupted(spec)
                continue
            self.seen.append(spec)
            if self.fails(spec):
                outcomes[number] = Outcome(run_name(spec), "failed", "planted")
            else:
                write_run(spec, self.quality(spec))
                outcomes[number] = Outcome(run_name(spec), "finished")
            watch(RunProgress(number, spec.epochs, outcomes[number]))
        return [outcomes[number] for number in range(len(specs))]


def write_run(spec: RunSpec, quality: float) -> None:
    folder = RunFolder(Path(str(spec.out)))
    folder.create(spec, {})
    epochs: list[EpochRecord] = []
    while len(epochs) < spec.epochs and not ending(spec.stop, epochs):
        e = len(epochs) + 1
        accuracy = quality * e / spec.epochs
        epochs.append(EpochRecord(e, 1.0, accuracy, 1 - accuracy, accuracy, 0.1, 0.0, 1.0, 1.0))
        folder.append(epochs[-1], ())
    stopped = ending(spec.stop, epochs) if len(epochs) < spec.epochs else ""
    test = quality if spec.test else float("nan")
    last = epochs[-1].val_accuracy
    folder.finish(
        RunResult(
            test, 1.0, last, len(epochs), last, None, 0.0, True, 1000, len(epochs), float(len(epochs)),
            spec.out, stopped, len(epochs) if spec.test else None,
        )
    )  # fmt: skip
    folder.release()
