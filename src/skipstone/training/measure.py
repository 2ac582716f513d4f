"""What a run will take, measured by a few of its own steps: nothing is written, nothing is trained to the end."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from skipstone.core.errors import SkipstoneError
from skipstone.graphs.costs import cost
from skipstone.runs.records import RunSpec
from skipstone.tracing import trace
from skipstone.training.evaluate import evaluate
from skipstone.training.progress import Silent
from skipstone.training.trainer import prepare

_STEPS = 3
_IMAGES = 500


@dataclass(frozen=True, slots=True)
class RunCost:
    """One run of a spec on this machine.

    `macs` are one example's multiply-adds (0: not known), `peak_bytes` the memory of its process (0: not known).
    """

    num_parameters: int
    macs: int
    seconds: float
    peak_bytes: int


def measure_run(spec: RunSpec) -> RunCost:
    """Take a few training steps and an evaluation of the run's own, and count on from there.

    Raises:
        SkipstoneError: as `train` would, before anything is written.
    """
    run = prepare(replace(spec, out=None), Silent())
    run.loop.epoch(1, steps=1)  # the first step pays for what later ones find ready
    step = _seconds(lambda: run.loop.epoch(1, steps=_STEPS)) / _STEPS
    images = run.data.train[:_IMAGES]
    image = _seconds(lambda: evaluate(run.loop.model, images, run.batches.pixels)) / len(images)
    evaluated = spec.epochs * 2 * len(run.data.val) + spec.recipe.views * len(run.data.test)
    try:
        macs = cost(trace(run.loop.bare.eval(), (1, *run.data.shape))).macs
    except SkipstoneError:
        macs = 0
    return RunCost(
        num_parameters=sum(p.numel() for p in run.loop.bare.parameters()),
        macs=macs,
        seconds=spec.epochs * len(run.batches) * step + evaluated * image,
        peak_bytes=_peak_bytes(),
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
