"""Runs on a Ray cluster: the plan, the run folders and the outcomes of the local runner, on machines that may die.

Ray places tasks and tells when a node is lost. Everything that must outlive it stands in the run folders, on storage
that all nodes share: what is finished, where to go on, who is writing. So neither Ray's state nor the driver's has to
be kept, and the driver that comes back is a new one with the same plan.
"""

import os
import platform
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from skipstone.core.errors import SkipstoneError
from skipstone.core.files import make_folder
from skipstone.experiments.ray_cluster import Resources, alive, connected, demand_listening, has_token
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
from skipstone.runs.losses import Losses
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import RunSpec

POLL_SECONDS = 1.0
_LOOKS_A_SECOND = 200
"""Run folders looked into for their epochs, so that a thousand runs don't keep the storage busy."""

_COUNT_SECONDS = 5.0
"""How long the cluster's nodes are taken to be what they were."""

_GRACE_SECONDS = 5.0
_PATIENCE_SECONDS = 120.0
"""How long a run waits for its folder: a lost node's file system may hold its lock for a lease (NFS: 90 s)."""

_SEEN = ".skipstone-seen-"


@dataclass(frozen=True, slots=True)
class RayRunner:
    """A Ray task a run, one thread each, on the cluster at `address` (host:port, or "auto": this machine's).

    A run reserves `cpus`, `gpus` (parts are allowed) and `memory_gb` (10^9 bytes; 0: not reserved) of its node. One
    that loses its node or its process goes on elsewhere from its checkpoint, until it is lost more than `retries`
    times without an epoch in between. At most `at_once` run at a time (None: what the cluster has room for). Run
    folders, the working folder and files named in specs must lie on storage that all nodes share, under the same paths.
    What is printed to stdout meanwhile goes to stderr: Ray prints there.
    """

    address: str = "auto"
    cpus: float = 1.0
    gpus: float = 0.0
    memory_gb: float = 0.0
    retries: int = 3
    at_once: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("cpus", 0), ("gpus", 0), ("memory_gb", 0), ("retries", 0), ("at_once", 1)):
            value = getattr(self, name)
            if value is not None and not least <= value < float("inf"):
                raise SkipstoneError(f"{name} is {value}, expected at least {least}")
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise SkipstoneError(f"gpus is {self.gpus}, expected a part of one, or whole ones")

    @property
    def on_this_machine(self) -> bool:
        return False

    def demand_ready(self) -> None:
        demand_listening(self.address)

    def run(self, specs: Sequence[RunSpec], *, watch: Watcher | None = None) -> list[Outcome]:
        """As `Runner.run` says; raises, too, where no cluster answers at the address."""
        watch = watch or (lambda progress: None)
        outcomes = kept(specs, watch)
        waiting = [i for i in range(len(specs)) if i not in outcomes]
        if waiting:
            with connected(self.address) as (ray, nodes), _seen_by_all([specs[i] for i in waiting]) as mark:
                for note in self._notes(nodes):
                    watch(RunProgress(waiting[0], epochs_done(specs[waiting[0]]), note=note))
                _Flights(self, ray, specs, mark, watch, outcomes).fly(waiting)
        return in_order(specs, outcomes)

    def resources(self) -> dict[str, float]:
        """What Ray is to reserve for a run."""
        asked = {"num_cpus": self.cpus, "num_gpus": self.gpus, "memory": round(1e9 * self.memory_gb)}
        return {name: value for name, value in asked.items() if value or name == "num_cpus"}

    def room(self, nodes: Sequence[Resources]) -> int:
        """How many runs these nodes hold at a time."""
        wanted = {"CPU": self.cpus, "GPU": self.gpus, "memory": 1e9 * self.memory_gb}
        wanted = {name: value for name, value in wanted.items() if value}
        return sum(int(min(node.get(k, 0.0) / v for k, v in wanted.items())) if wanted else 1 for node in nodes)

    def _notes(self, nodes: Sequence[Resources]) -> Iterator[str]:
        if not self.room(nodes):
            asked = f"{self.cpus:g} CPUs, {self.gpus:g} GPUs and {self.memory_gb:g} GB"
            yield f"none of the cluster's {len(nodes)} nodes has {asked} for a run: waiting for one that has"
        if not has_token():
            yield "this Ray cluster asks for no token: whoever reaches it can run code on it (RAY_AUTH_MODE=token)"


@dataclass(slots=True)
class _Flight:
    """A run that is to be handed to Ray, or was: `shown` are the epochs the watcher was told of."""

    run: int
    losses: Losses
    shown: int = 0


class _Flights:
    """What is on the cluster at the moment, and how each run ended."""

    def __init__(
        self,
        runner: RayRunner,
        ray: ModuleType,
        specs: Sequence[RunSpec],
        mark: str,
        watch: Watcher,
        outcomes: dict[int, Outcome],
    ) -> None:
        self._runner, self._ray, self._specs, self._watch, self.outcomes = runner, ray, specs, watch, outcomes
        # A process a run, as locally; and it is we who try again, since we see whether a run has come further.
        options = {"max_calls": 1, "max_retries": 0, "scheduling_strategy": "SPREAD", **runner.resources()}
        self._task = ray.remote(**options)(train_on_node)
        self._where = (os.getcwd(), mark)
        self._flying: dict[Any, _Flight] = {}
        self._room, self._count_again = 0, 0.0

    def fly(self, waiting: Sequence[int]) -> None:
        """Run these to their ends; Ctrl-C stops them and returns."""
        self._waiting = deque(_Flight(i, Losses(self._runner.retries, epochs_done(self._specs[i]))) for i in waiting)
        looked = 0.0
        try:
            while self._waiting or self._flying:
                self._fill()
                self._collect(POLL_SECONDS)
                if time.monotonic() - looked > max(POLL_SECONDS, len(self._flying) / _LOOKS_A_SECOND):
                    looked = time.monotonic()
                    for flight in self._flying.values():
                        self._show(flight)
        except KeyboardInterrupt:
            self._stop()
        except self._ray.exceptions.RayError as error:
            raise SkipstoneError(
                f"the Ray cluster no longer answers: {_first_line(error)}; what the runs had finished is kept, and the "
                "same command goes on"
            ) from error

    def _fill(self) -> None:
        """Twice as many as there is room for: none waits for the driver, and an autoscaler sees what is wanted."""
        if self._waiting and time.monotonic() >= self._count_again:
            self._room = 2 * max(1, self._runner.room(alive(self._ray)))
            self._count_again = time.monotonic() + _COUNT_SECONDS
        room = self._room
        while self._waiting and len(self._flying) < min(room, self._runner.at_once or room):
            flight = self._waiting.popleft()
            self._flying[self._task.remote(self._specs[flight.run], *self._where)] = flight

    def _collect(self, seconds: float) -> None:
        ended, _ = self._ray.wait(list(self._flying), num_returns=1, timeout=seconds)
        for ref in ended:
            flight = self._flying.pop(ref)
            outcome = self._outcome(ref, flight)
            if outcome is not None:
                self.outcomes[flight.run] = outcome
                self._watch(RunProgress(flight.run, epochs_done(self._specs[flight.run]), outcome))

    def _outcome(self, ref: Any, flight: _Flight) -> Outcome | None:
        """None for a run that was lost and waits again."""
        name = run_name(self._specs[flight.run])
        try:
            outcome: Outcome = self._ray.get(ref)
            return outcome
        except self._ray.exceptions.TaskCancelledError:
            return interrupted(self._specs[flight.run])
        except self._ray.exceptions.RayTaskError as error:
            # Not the run's: `attempt` makes outcomes of those. A node without skipstone, say.
            return Outcome(name, "failed", f"it could not be begun on its node: {_last_line(error)}", str(error))
        except self._ray.exceptions.RayError as error:
            why = _first_line(error)
        epochs = epochs_done(self._specs[flight.run])
        if not flight.losses.bearable(epochs):
            return Outcome(name, "killed", f"{flight.losses.said}; the last: {why}")
        self._waiting.appendleft(flight)
        after = f"goes on after epoch {epochs}" if epochs else "begins anew"
        self._watch(RunProgress(flight.run, epochs, note=f"lost with its process or node ({why}); it {after}"))
        return None

    def _show(self, flight: _Flight) -> None:
        epochs = epochs_done(self._specs[flight.run])
        if epochs != flight.shown:
            flight.shown = epochs
            self._watch(RunProgress(flight.run, epochs))

    def _stop(self) -> None:
        self._waiting.clear()
        for ref in self._flying:
            self._ray.cancel(ref)
        deadline = time.monotonic() + _GRACE_SECONDS
        while self._flying and time.monotonic() < deadline:
            self._collect(0.1)


def train_on_node(spec: RunSpec, folder: str, mark: str) -> Outcome:
    """In a worker of Ray's: the run, once it is known that this node sees the driver's files."""
    runs = Path(folder, str(spec.out)).parent
    for path, seen in ((folder, Path(folder)), (runs, runs / mark)):
        if not seen.exists():
            unseen = f"node {platform.node()} does not see the driver's {path}"
            return Outcome(run_name(spec), "failed", f"{unseen}: it must lie on storage that all nodes share")
    os.chdir(folder)
    return attempt(spec, patience_seconds=_PATIENCE_SECONDS)


@contextmanager
def _seen_by_all(specs: Sequence[RunSpec]) -> Iterator[str]:
    """The name of a file beside the run folders by which a node knows that it sees the driver's storage."""
    mark = _SEEN + secrets.token_hex(6)
    folders = {Path(str(spec.out)).parent for spec in specs}
    try:
        for folder in folders:
            make_folder(folder)
            for old in folder.glob(f"{_SEEN}*"):
                old.unlink(missing_ok=True)
            (folder / mark).touch()
        yield mark
    finally:
        for folder in folders:
            (folder / mark).unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
