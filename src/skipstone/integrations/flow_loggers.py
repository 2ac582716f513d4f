"""Where the records of a watch go: a protocol of one method, and an adapter for each program that draws curves.

    with skipstone.watch(model, optimizer, loggers=[TensorBoardLogger(writer), JsonLinesLogger("flow.jsonl")]):
        ...

Each adapter is given the program's own object, opened and closed by whoever made it; none imports the program. A logger
of your own has a method `log(record)`; `scalars_of(record)` gives it names and numbers. The adapters' `write` takes any
numbers: `skipstone.integrations.run_logging` gives them a run's epochs as well.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skipstone.runs.flow import FlowRecord, scalars_of


class JsonLinesLogger:
    """Appends each record to a file, a line each, as `FlowRecord.from_dict` reads it."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def log(self, record: FlowRecord) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record.to_dict()) + "\n")


class TensorBoardLogger:
    """Scalars for a `torch.utils.tensorboard.SummaryWriter`, or any writer with its `add_scalar(tag, value, step)`."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, record: FlowRecord) -> None:
        self.write(scalars_of(record), record.step)

    def write(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)


class WandbLogger:
    """Scalars for a run of Weights & Biases, as `wandb.init()` returns it.

    The step stands beside them as `flow/step`, which is made their axis: W&B's own counter, which other calls of
    `run.log` move, is left alone.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._groups: set[str] = set()

    def log(self, record: FlowRecord) -> None:
        self.write(scalars_of(record), record.step)

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Names are in groups, `flow/...`; the step is its group's own."""
        groups = {name.partition("/")[0] for name in values}
        for group in groups - self._groups:
            self._run.define_metric(f"{group}/step")
            self._run.define_metric(f"{group}/*", step_metric=f"{group}/step")
        self._groups |= groups
        self._run.log({**values, **{f"{group}/step": step for group in groups}})


class MlflowLogger:
    """Scalars for MLflow: the module `mlflow` itself, or anything with its `log_metrics(metrics, step=...)`."""

    def __init__(self, mlflow: Any) -> None:
        self._mlflow = mlflow

    def log(self, record: FlowRecord) -> None:
        self.write(scalars_of(record), record.step)

    def write(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics(dict(values), step=step)
