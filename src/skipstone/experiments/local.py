"""Runs in local processes, one process a run, so that whatever befalls a run befalls that run alone.

The processes come from a fork server that has imported the trainer once: a run starts in milliseconds and owns a
clean interpreter state. They report by what they write into their run folders; a pipe carries only how they ended.
"""

import multiprocessing
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from skipstone.core.errors import SkipstoneError
from skipstone.experiments.runner import (
    RunProgress,
    Watcher,
    attempt,
    epochs_done,
    in_order,
    interrupted,
    kept,
    run_name,
)
from skipstone.runs.outcome import Outcome, exit_text
from skipstone.runs.records import RunSpec

POLL_SECONDS = 0.2
GRACE_SECONDS = 3.0
"""How long a run that has been stopped, or has said how it ended, may take to go before it is killed; and how long the
next run of a folder waits for it."""


@dataclass(frozen=True, slots=True)
class LocalRunner:
    """At most `workers` runs at a time (default: the cores this process may use), a process and a thread each."""

    workers: int | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise SkipstoneError(f"workers is {self.workers}, expected at least 1 run at a time")

    def run(self, specs: Sequence[RunSpec], *, watch: Watcher | None = None) -> list[Outcome]:
        """As `Runner.run` says. Ctrl-C lets the running ones save."""
        watch = watch or (lambda progress: None)
        outcomes = kept(specs, watch)
        waiting = [i for i in range(len(specs)) if i not in outcomes][::-1]
        running: dict[int, _Worker] = {}
        context = one_thread_context()
        try:
            while waiting or running:
                while waiting and len(running) < self.at_once:
                    i = waiting.pop()
                    running[i] = _Worker(context, specs[i])
                wait([end for worker in running.values() for end in worker.ends], timeout=POLL_SECONDS)
                for i, worker in list(running.items()):
                    ended = worker.outcome()
                    watch(RunProgress(i, epochs_done(specs[i]), ended))
                    if ended:
                        outcomes[i] = ended
                        del running[i]
        except KeyboardInterrupt:
            for i, worker in running.items():
                outcomes[i] = worker.stopped()
        return in_order(specs, outcomes)

    @property
    def on_this_machine(self) -> bool:
        return True

    def demand_ready(self) -> None:
        """A machine that asks is ready."""

    @property
    def at_once(self) -> int:
        return self.workers or available_cores()


def run_local(specs: Sequence[RunSpec], *, workers: int | None = None, watch: Watcher | None = None) -> list[Outcome]:
    """`LocalRunner(workers).run(specs, watch=watch)`."""
    return LocalRunner(workers).run(specs, watch=watch)


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
        return ended or Outcome(run_name(self.spec), "killed", exit_text(self.process.exitcode))

    def stopped(self) -> Outcome:
        """After Ctrl-C, which reached the run too: how it ended in the time it is given."""
        wait(self.ends, timeout=GRACE_SECONDS)
        ended = self.outcome()
        if ended is None:
            self._end(0.0)
        complete = ended is not None and ended.complete
        return ended if ended and complete else interrupted(self.spec)

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
    sender.send(attempt(spec, patience_seconds=GRACE_SECONDS))
    sender.close()


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
