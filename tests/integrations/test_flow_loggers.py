"""Each adapter against the real program, offline: what was logged is read back by the program's own means.

Those need TensorBoard, W&B and MLflow: `make extras`.
"""

import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skipstone.flow import watch
from skipstone.integrations.flow_loggers import JsonLinesLogger, MlflowLogger, TensorBoardLogger, WandbLogger
from skipstone.runs.flow import FlowRecord, scalars_of


def train(*loggers):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer, every=2, loggers=loggers) as flow:
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(model(torch.randn(6, 4)), torch.arange(6) % 3).backward()
            optimizer.step()
    return flow.records


def test_json_lines_are_the_records(tmp_path):
    records = train(JsonLinesLogger(tmp_path / "flow.jsonl"))
    lines = (tmp_path / "flow.jsonl").read_text().splitlines()
    assert [FlowRecord.from_dict(json.loads(line)) for line in lines] == records


@pytest.mark.extras
def test_tensorboard(tmp_path):
    """12 MB; its files are read back by its own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        records = train(TensorBoardLogger(writer))
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    for name, value in scalars_of(records[-1]).items():
        *_, last = read.Scalars(name)
        assert (last.step, last.value) == (2, pytest.approx(value, rel=1e-6))


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # of its own
def test_wandb(tmp_path):
    """85 MB; offline, so nothing leaves the machine."""
    import wandb

    with wandb.init(mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True)) as run:
        records = train(WandbLogger(run))
        told = {key: run.summary[key] for key in scalars_of(records[-1])}
        assert told == pytest.approx(scalars_of(records[-1]))
        assert run.summary["flow/step"] == 2


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # of its own
def test_mlflow(tmp_path, monkeypatch):
    """40 MB (mlflow-skinny); into a folder, read back by its client."""
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # mlflow-skinny has no database to write to
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    with mlflow.start_run() as run:
        records = train(MlflowLogger(mlflow))
    client = mlflow.MlflowClient()
    for name, value in scalars_of(records[-1]).items():
        *_, last = client.get_metric_history(run.info.run_id, name)
        assert (last.step, last.value) == (2, pytest.approx(value))
