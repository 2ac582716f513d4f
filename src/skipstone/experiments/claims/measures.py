"""The numbers of finished runs that claims are about, read from their folders; those of networks are in `looking`."""

import math

from skipstone.experiments.claims.claim import Measure
from skipstone.runs.records import RunRecord, RunResult, RunSpec, read_run

CHANCE_LOSS = math.log(10)
"""In nats: what a network that knows nothing of ten classes loses."""


def _read(spec: RunSpec) -> tuple[RunRecord, RunResult]:
    record = read_run(str(spec.out), flow=False)
    assert record.result is not None, "a run is measured after its end"
    return record, record.result


def _test_accuracy(spec: RunSpec) -> float:
    return _read(spec)[1].test_accuracy


def _gap(spec: RunSpec) -> float:
    return _read(spec)[1].overfitting_gap


def _train_loss(spec: RunSpec) -> float:
    return _read(spec)[0].epochs[-1].train_loss


def _halving(spec: RunSpec) -> float:
    return halving([epoch.train_loss for epoch in _read(spec)[0].epochs])


def halving(losses: list[float]) -> float:
    """At which epoch the training loss passes half of chance's, straight between two epochs; their number if never.

    >>> halving([math.log(10) * 3 / 4, math.log(10) / 4])
    1.5
    """
    half, before = CHANCE_LOSS / 2, CHANCE_LOSS
    for epoch, loss in enumerate(losses, start=1):
        if loss <= half:
            return epoch - (half - loss) / (before - loss)
        before = loss
    return float(len(losses))


TEST_ACCURACY = Measure("test accuracy", "%", _test_accuracy, bound=1.0)
GAP = Measure("training less validation accuracy", "%", _gap, bound=2.0)
TRAIN_LOSS = Measure("training loss of the last epoch", "nats", _train_loss)
HALVING = Measure("epochs until the training loss is half of chance's", "epochs", _halving)
