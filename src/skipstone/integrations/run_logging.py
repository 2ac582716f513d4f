"""Runs in TensorBoard, Weights & Biases and MLflow, while they train (`--tensorboard`, `--wandb`, `--mlflow`).

Nothing is asked of the process that trains: a follower reads what a run's folder has more of than before, so that a run
on this machine, in another process or on a cluster is logged alike. Epochs that were there before are not logged again.
A logger that fails is told once and left out from there on; no run ends because of it.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from skipstone.core.errors import SkipstoneError, text_of
from skipstone.experiments.runner import RunProgress, Watcher
from skipstone.integrations.flow_loggers import MlflowLogger, TensorBoardLogger, WandbLogger
from skipstone.runs.flow import FlowRecord, scalars_of
from skipstone.runs.records import FLOW_FILE, METRICS_FILE, EpochRecord, RunSpec, read_lines

_EPOCH = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "train_gap", "lr", "grad_norm", "seconds")

Tell = Callable[[str], None]


class Writer(Protocol):
    """What an adapter of `flow_loggers` is besides a logger of flow records."""

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Take some numbers, named `group/name`."""


@dataclass(frozen=True, slots=True)
class Sink:
    """An open log of one run, and how to close it."""

    name: str
    writer: Writer
    close: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Logging:
    """Where runs are logged: a folder for TensorBoard, a project of W&B, an experiment of MLflow; None for nowhere."""

    tensorboard: Path | None = None
    wandb: str | None = None
    mlflow: str | None = None

    @property
    def wanted(self) -> bool:
        return any(where is not None for where in (self.tensorboard, self.wandb, self.mlflow))

    def open(self, spec: RunSpec) -> list[Sink]:
        """The logs of one run, by the name of its folder.

        Raises:
            SkipstoneError: a program is not installed, or can't be used.
        """
        name = Path(spec.out).name if spec.out else spec.model
        sinks = []
        if self.tensorboard is not None:
            sinks.append(_tensorboard(self.tensorboard, name, spec))
        if self.wandb is not None:
            sinks.append(_wandb(self.wandb, name, spec))
        if self.mlflow is not None:
            sinks.append(_mlflow(self.mlflow, name, spec))
        return sinks

    def demand_installed(self) -> None:
        """See that what is wanted can be imported, before anything is trained."""
        for where, module, flag in (
            (self.tensorboard, "torch.utils.tensorboard", "tensorboard"),
            (self.wandb, "wandb", "wandb"),
            (self.mlflow, "mlflow", "mlflow"),
        ):
            if where is not None:
                _imported(module, flag)


@dataclass
class Follower:
    """One run's folder and its logs; `update` logs what stands beyond `epoch` and, of the gradient flow, `flow`."""

    folder: Path
    sinks: list[Sink]
    tell: Tell
    epoch: int = 0
    flow: int = -1

    def update(self) -> None:
        """A run that was cut goes on from its checkpoint: epochs that it trains again are not logged again."""
        epochs = [e for e in read_lines(EpochRecord, self.folder / METRICS_FILE) if e.epoch > self.epoch]
        flow = [f for f in read_lines(FlowRecord, self.folder / FLOW_FILE) if f.epoch > self.flow]
        lines = [(scalars_of(record), record.step) for record in flow] + [(epoch_scalars(e), e.epoch) for e in epochs]
        for sink in list(self.sinks):
            with self._told(sink):
                for values, step in lines:
                    sink.writer.write(values, step)
        self.epoch = max([self.epoch, *(e.epoch for e in epochs)])
        self.flow = max([self.flow, *(f.epoch for f in flow)])

    def close(self) -> None:
        for sink in list(self.sinks):
            with self._told(sink):
                sink.close()
        self.sinks = []

    @contextmanager
    def _told(self, sink: Sink) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a server that is gone, a full disk: the run is worth more than its log
            self.sinks.remove(sink)
            first = next(iter(text_of(error).splitlines()), "")
            self.tell(
                f"{sink.name}: {type(error).__name__}: {first}; {self.folder.name} is not logged there from here on"
            )


def epoch_scalars(record: EpochRecord) -> dict[str, float]:
    """`epoch/val_loss` and the like; what is not finite is left out."""
    values = {f"epoch/{name}": float(getattr(record, name)) for name in _EPOCH}
    return {name: value for name, value in values.items() if math.isfinite(value)}


@contextmanager
def following(
    logging: Logging, specs: Sequence[RunSpec], watch: Watcher | None, tell: Tell
) -> Iterator[Watcher | None]:
    """`watch`, which besides logs the runs as they go; runs that were complete before are not opened."""
    if not logging.wanted:
        yield watch
        return
    logging.demand_installed()
    open_now: dict[int, Follower] = {}

    def followed(progress: RunProgress) -> None:
        if watch is not None:
            watch(progress)
        ended = progress.outcome
        if ended is not None and ended.status == "kept":
            return
        if progress.run not in open_now:
            spec = specs[progress.run]
            open_now[progress.run] = Follower(Path(str(spec.out)), logging.open(spec), tell, *before[progress.run])
        open_now[progress.run].update()
        if ended is not None:
            open_now.pop(progress.run).close()

    before = [_done(Path(str(spec.out))) for spec in specs]
    try:
        yield followed
    finally:
        for follower in open_now.values():
            follower.close()


def _done(folder: Path) -> tuple[int, int]:
    """The last epoch that a run's folder holds, of its metrics and of its gradient flow."""
    epochs = (record.epoch for record in read_lines(EpochRecord, folder / METRICS_FILE))
    flow = (record.epoch for record in read_lines(FlowRecord, folder / FLOW_FILE))
    return max(epochs, default=0), max(flow, default=-1)


def _tensorboard(folder: Path, name: str, spec: RunSpec) -> Sink:
    writer = _imported("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(folder / name))
    writer.add_text("spec", json.dumps(spec.to_dict(), indent=1))
    return Sink("TensorBoard", TensorBoardLogger(writer), writer.close)


def _wandb(project: str, name: str, spec: RunSpec) -> Sink:
    run = _imported("wandb", "wandb").init(
        project=project, name=name, id=_identity(spec), resume="allow", config=spec.to_dict(), reinit="create_new"
    )
    return Sink("W&B", WandbLogger(run), run.finish)


def _mlflow(experiment: str, name: str, spec: RunSpec) -> Sink:
    mlflow = _imported("mlflow", "mlflow")
    client = mlflow.MlflowClient()
    where = mlflow.set_experiment(experiment).experiment_id
    identity = _identity(spec)
    known = client.search_runs([where], f"tags.skipstone = '{identity}'")
    run = known[0] if known else client.create_run(where, run_name=name, tags={"skipstone": identity})
    run_id = run.info.run_id

    def log_metrics(metrics: Mapping[str, float], step: int) -> None:
        for key, value in metrics.items():
            client.log_metric(run_id, key, value, step=step)

    return Sink("MLflow", MlflowLogger(SimpleNamespace(log_metrics=log_metrics)), lambda: client.set_terminated(run_id))


def _identity(spec: RunSpec) -> str:
    """One run, one log: the same spec in the same folder goes on in the log that it began."""
    return sha256(json.dumps(spec.to_dict(), sort_keys=True).encode()).hexdigest()[:16]


def _imported(module: str, flag: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise SkipstoneError(f"--{flag} needs {flag} ({error}); install it: pip install {flag}") from error
