"""What a comparison will take and what it could show, before anything is trained (`skipstone compare --plan`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from skipstone.core.errors import SkipstoneError
from skipstone.experiments.local import LocalRunner, one_thread_context
from skipstone.experiments.plan import label_of, varied_options
from skipstone.experiments.possible import demand_possible
from skipstone.experiments.statistics import CONFIDENCE
from skipstone.runs.outcome import exit_text
from skipstone.runs.records import RunSpec

if TYPE_CHECKING:
    from skipstone.training.measure import RunCost

POWER = 0.8
SPREADS = (0.002, 0.005, 0.01, 0.02)
"""Standard deviations of test accuracy over seeds for which the difference that can be found is told."""


@dataclass(frozen=True, slots=True)
class NetworkForecast:
    """The runs of one network under one set of options; `cost` is one run's, None where it can't be trained: `note`."""

    label: str
    num_runs: int
    cost: "RunCost | None"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """All runs: seconds on the wall with `workers` at a time, their memory together, and what the seeds can resolve.

    `resolvable` pairs a spread over seeds (a standard deviation, as a fraction) with the least true difference that a
    Welch interval then leaves out zero for in four of five comparisons; empty with a single seed.
    """

    networks: tuple[NetworkForecast, ...]
    num_seeds: int
    workers: int
    seconds: float
    peak_bytes: int
    resolvable: tuple[tuple[float, float], ...]


def forecast(specs: Sequence[RunSpec], *, workers: int | None = None) -> Forecast:
    """Measure one run of each network for a few steps, in a process of its own with one thread, as `compare` runs them.

    Raises:
        SkipstoneError: there is no spec, or `workers` is below 1.
    """
    if not specs:
        raise SkipstoneError("nothing to compare: no run was given")
    runner = LocalRunner(workers)
    demand_possible(specs)
    groups: dict[str, list[RunSpec]] = {}
    varied = varied_options([spec.options for spec in specs])
    for spec in specs:
        groups.setdefault(label_of(spec, varied), []).append(spec)
    networks = tuple(_forecast(label, runs) for label, runs in groups.items())
    at_once = min(runner.at_once, len(specs))
    costs = sorted((n.cost for n in networks if n.cost for _ in range(n.num_runs)), key=lambda c: -c.seconds)
    seeds = min(map(len, groups.values()))
    return Forecast(
        networks,
        seeds,
        at_once,
        max(sum(c.seconds for c in costs) / at_once, costs[0].seconds if costs else 0.0),
        sum(sorted((c.peak_bytes for c in costs), reverse=True)[:at_once]),
        tuple((sd, resolvable(seeds) * sd) for sd in SPREADS) if seeds > 1 else (),
    )


def resolvable(seeds: int) -> float:
    """The least difference of two means, in standard deviations, found with power 0.8 from `seeds` runs each.

    By Student's noncentral t with 2n - 2 degrees of freedom at 5 %, two-sided (Cohen 1988, section 2.4).

    >>> round(resolvable(6), 2)
    1.8
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    freedom, scale = 2 * seeds - 2, math.sqrt(2 / seeds)
    bound = t.ppf(0.5 + CONFIDENCE / 2, freedom)

    def lacking(difference: float) -> float:
        return float(nct.sf(bound, freedom, difference / scale)) - POWER

    return float(brentq(lacking, 0.01, 100.0))


def _forecast(label: str, runs: Sequence[RunSpec]) -> NetworkForecast:
    context = one_thread_context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(runs[0], sender), daemon=True)  # type: ignore[attr-defined]
    process.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError:
        process.join()
        answer = exit_text(process.exitcode)
    process.join()
    receiver.close()
    if isinstance(answer, str):
        return NetworkForecast(label, len(runs), None, answer)
    return NetworkForecast(label, len(runs), answer)


def _measure(spec: RunSpec, sender: Connection) -> None:
    import torch

    from skipstone.training.measure import measure_run

    torch.set_num_threads(1)
    try:
        sender.send(measure_run(spec))
    except SkipstoneError as error:
        sender.send(str(error))
