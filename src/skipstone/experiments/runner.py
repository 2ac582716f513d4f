"""What runs specs: the interface that local processes and a cluster share, and what they do alike."""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from skipstone.core.errors import SkipstoneError, text_of
from skipstone.runs.folder import differences, holds_work, is_held
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import METRICS_FILE, RunSpec, read_run

_MESSAGE_LENGTH = 400
_INTERRUPTED = "stopped by Ctrl-C; the same command goes on"
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What a watcher is told: run number `run` of the specs has `epochs` epochs behind it, or has ended.

    `note` is a line for the user, as that a run goes on elsewhere because its node died.
    """

    run: int
    epochs: int
    outcome: Outcome | None = None
    note: str = ""


Watcher = Callable[[RunProgress], None]


class Runner(Protocol):
    """Trains specs somewhere: `LocalRunner` in processes of this machine, `RayRunner` on a cluster."""

    @property
    def on_this_machine(self) -> bool:
        """Do the runs see this machine's devices?"""

    def demand_ready(self) -> None:
        """Raise `SkipstoneError`, within seconds, where nothing can run for want of a cluster."""

    def run(self, specs: Sequence[RunSpec], *, watch: Watcher | None = None) -> list[Outcome]:
        """Train every spec that is not complete in its folder; how each ended, in the order of the specs.

        A run that was cut short resumes. A run that fails is an outcome and spoils no other; Ctrl-C makes those that
        have not ended `interrupted`. `watch` is told of epochs and ends, in this process.

        Raises:
            SkipstoneError: nothing can run: a spec has no folder, its folder holds another run, no cluster answers.
        """


def kept(specs: Sequence[RunSpec], watch: Watcher) -> dict[int, Outcome]:
    """The outcomes of those runs whose folders are complete already, by the number of the spec; `watch` is told.

    Raises:
        SkipstoneError: a spec has no folder, or its folder holds another run.
    """
    found = {i: outcome for i, spec in enumerate(specs) if (outcome := _kept(spec))}
    for i, outcome in found.items():
        watch(RunProgress(i, specs[i].epochs, outcome))
    return found


def in_order(specs: Sequence[RunSpec], outcomes: Mapping[int, Outcome]) -> list[Outcome]:
    """The outcomes in the order of the specs; what has none was interrupted."""
    return [outcomes.get(i) or interrupted(spec) for i, spec in enumerate(specs)]


def interrupted(spec: RunSpec) -> Outcome:
    return Outcome(run_name(spec), "interrupted", _INTERRUPTED)


def run_name(spec: RunSpec) -> str:
    """What outcomes call a run: the name of its folder."""
    return Path(str(spec.out)).name


def epochs_done(spec: RunSpec) -> int:
    """The epochs that stand in a run's folder."""
    try:
        return (Path(str(spec.out)) / METRICS_FILE).read_bytes().count(b"\n")
    except OSError:
        return 0


def attempt(spec: RunSpec, *, patience_seconds: float) -> Outcome:
    """Train in this process, on one thread, and say how it went: whatever is raised is this run's outcome.

    A folder that another process holds is waited for so long: where a runner was killed its runs take a moment to end.
    """
    try:
        import torch

        from skipstone.training import train

        torch.set_num_threads(1)
        _wait_for(Path(str(spec.out)), patience_seconds)
        train(spec, resume=True)
    except KeyboardInterrupt:
        return interrupted(spec)
    except SkipstoneError as error:
        # What the user's own code raised stands behind our line, and its traceback is what helps.
        trace = traceback.format_exc() if error.__cause__ else ""
        return Outcome(run_name(spec), "failed", _shortened(str(error)), trace)
    except BaseException as error:  # noqa: BLE001 - whatever a user's network raises is this run's outcome, not ours
        message = f"{type(error).__name__}: {text_of(error)}"
        return Outcome(run_name(spec), "failed", _shortened(message), traceback.format_exc())
    return Outcome(run_name(spec), "finished")


def _wait_for(folder: Path, seconds: float) -> None:
    """Until no other process holds it, or so long; whoever then trains there finds out for itself."""
    deadline = time.monotonic() + seconds
    while is_held(folder) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _kept(spec: RunSpec) -> Outcome | None:
    """The outcome of a run whose folder is complete already; None for one that has to run."""
    if spec.out is None:
        raise SkipstoneError(f"{spec.model} with seed {spec.seed} has no run folder, expected one in `out`")
    if not holds_work(Path(spec.out)):
        return None
    record = read_run(spec.out, flow=False, epochs="tested")
    if found := differences(record, spec):
        said = ", ".join(f"{key} {there!r} there, {here!r} here" for key, (there, here) in sorted(found.items()))
        raise SkipstoneError(f"{spec.out} holds another run ({said}); choose another folder or remove it")
    return Outcome(run_name(spec), "kept") if record.result else None


def _shortened(message: str) -> str:
    """A message fit for a line of a report; the traceback has it whole."""
    return message if len(message) <= _MESSAGE_LENGTH else message[:_MESSAGE_LENGTH] + " ..."
