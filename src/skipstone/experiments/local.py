"""Runs in local processes, one process a run, so that whatever befalls a run befalls that run alone.

The processes come from a fork server that has imported the trainer once: a run starts in milliseconds and owns a
clean interpreter state. They report by what they write into their run folders; a pipe carries only how they ended.
"""

import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from skipstone.core.errors import SkipstoneError, text_of
from skipstone.runs.folder import differences, holds_work
from skipstone.runs.outcome import Outcome, exit_text
from skipstone.runs.records import METRICS_FILE, RunSpec, read_run

POLL_SECONDS = 0.2
GRACE_SECONDS = 3.0
"""How long a run that has been stopped, or has said how it ended, may take to go before it is killed."""


_MESSAGE_LENGTH = 400
_INTERRUPTED = "stopped by Ctrl-C; the same command goes on"


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What a watcher is told: run number `run` of the specs has `epochs` epochs behind it, or has ended."""

    run: int
    epochs: int
    outcome: Outcome | None = None


Watcher = Callable[[RunProgress], None]


def run_local(specs: Sequence[RunSpec], *, workers: int | None = None, watch: Watcher | None = None) -> list[Outcome]:
    """Train every spec, at most `workers` at a time (default: the cores this process may use), one thread each.

    A run that is complete in its folder is kept; one that was cut short resumes from its checkpoint. Outcomes come in
    the order of the specs. Ctrl-C lets the running ones save and reports them, and those not started, as interrupted.

    Raises:
        SkipstoneError: `workers` is below 1, a spec has no folder, or a folder holds the run of another spec. Nothing
            has run then.
    """
    demand_workers(workers)
    watch = watch or (lambda progress: None)
    outcomes: dict[int, Outcome] = {i: kept for i, spec in enumerate(specs) if (kept := _kept(spec))}
    for i, outcome in outcomes.items():
        watch(RunProgress(i, specs[i].epochs, outcome))
    waiting = [i for i in range(len(specs)) if i not in outcomes]
    running: dict[int, _Worker] = {}
    context = one_thread_context()
    try:
        while waiting or running:
            while waiting and len(running) < (workers or available_cores()):
                i = waiting.pop(0)
                running[i] = _Worker(context, specs[i])
            wait([end for worker in running.values() for end in worker.ends], timeout=POLL_SECONDS)
            for i, worker in list(running.items()):
                ended = worker.outcome()
                watch(RunProgress(i, worker.epochs_done(), ended))
                if ended:
                    outcomes[i] = ended
                    del running[i]
    except KeyboardInterrupt:
        for i, worker in running.items():
            outcomes[i] = worker.stopped()
    interrupted = (Outcome(_name(spec), "interrupted", _INTERRUPTED) for spec in specs)
    return [outcomes.get(i, outcome) for i, outcome in enumerate(interrupted)]


def demand_workers(workers: int | None) -> None:
    """Refuse a number of workers that runs nothing; None stands for one a core."""
    if workers is not None and workers < 1:
        raise SkipstoneError(f"workers is {workers}, expected at least 1 run at a time")


def available_cores() -> int:
    """The cores this process may run on, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Worker:
    """One run in one process."""

    def __init__(self, context: BaseContext, spec: RunSpec) -> None:
        self.spec = spec
        self._receiver, sender = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=_work, args=(spec, sender), daemon=True)  # type: ignore[attr-defined]
        self.process.start()
        sender.close()
        self.ends = (self._receiver, self.process.sentinel)

    def epochs_done(self) -> int:
        metrics = Path(str(self.spec.out)) / METRICS_FILE
        return metrics.read_bytes().count(b"\n") if metrics.is_file() else 0

    def outcome(self) -> Outcome | None:
        """None while it runs. A process that ended without a word was killed."""
        ended: Outcome | None = None
        if self._receiver.poll():
            # Read before the process has gone: a long traceback fills the pipe, and it waits to write the rest.
            try:
                ended = self._receiver.recv()
            except EOFError:
                ended = None
        elif self.process.is_alive():
            return None
        self._end()
        return ended or Outcome(_name(self.spec), "killed", exit_text(self.process.exitcode))

    def stopped(self) -> Outcome:
        """After Ctrl-C, which reached the run too: how it ended in the time it is given."""
        wait(self.ends, timeout=GRACE_SECONDS)
        ended = self.outcome()
        if ended is None:
            self._end(0.0)
        complete = ended is not None and ended.complete
        return ended if ended and complete else Outcome(_name(self.spec), "interrupted", _INTERRUPTED)

    def _end(self, seconds: float = GRACE_SECONDS) -> None:
        self.process.join(seconds)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self._receiver.close()


def _work(spec: RunSpec, sender: Connection) -> None:
    """In the worker's process: train, and say in one value how it went."""
    _end_with_parent()
    # A runner shows its own progress; the worker's own prints would tear it.
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
    sender.send(_attempt(spec))
    sender.close()


def _attempt(spec: RunSpec) -> Outcome:
    try:
        import torch

        from skipstone.training import train

        torch.set_num_threads(1)
        train(spec, resume=True)
    except KeyboardInterrupt:
        return Outcome(_name(spec), "interrupted", _INTERRUPTED)
    except SkipstoneError as error:
        # What the user's own code raised stands behind our line, and its traceback is what helps.
        return Outcome(_name(spec), "failed", _shortened(str(error)), traceback.format_exc() if error.__cause__ else "")
    except BaseException as error:  # noqa: BLE001 - whatever a user's network raises is this run's outcome, not ours
        message = f"{type(error).__name__}: {text_of(error)}"
        return Outcome(_name(spec), "failed", _shortened(message), traceback.format_exc())
    return Outcome(_name(spec), "finished")


def _end_with_parent() -> None:
    """End this process when the one that started it has gone, even by SIGKILL."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def one_thread_context() -> BaseContext:
    """Where runs' processes come from: a fork server that has imported the trainer, or fresh interpreters."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["skipstone.training"])
    return context


def _kept(spec: RunSpec) -> Outcome | None:
    """The outcome of a run whose folder is complete already; None for one that has to run."""
    if spec.out is None:
        raise SkipstoneError(f"{spec.model} with seed {spec.seed} has no run folder, expected one in `out`")
    if not holds_work(Path(spec.out)):
        return None
    record = read_run(spec.out)
    if found := differences(record, spec):
        said = ", ".join(f"{key} {there!r} there, {here!r} here" for key, (there, here) in sorted(found.items()))
        raise SkipstoneError(f"{spec.out} holds another run ({said}); choose another folder or remove it")
    return Outcome(_name(spec), "kept") if record.result else None


def _shortened(message: str) -> str:
    """A message fit for a line of a report; the traceback has it whole."""
    return message if len(message) <= _MESSAGE_LENGTH else message[:_MESSAGE_LENGTH] + " ..."


def _name(spec: RunSpec) -> str:
    return Path(str(spec.out)).name
