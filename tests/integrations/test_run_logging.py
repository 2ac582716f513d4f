"""Logs of whole runs, with stand-ins for the three programs: what they are given, and what becomes of a run without
them. The programs themselves, through the same adapters: test_flow_loggers.py."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from scripted_runs import ScriptedRunner
from skipstone.cli import run
from skipstone.integrations.run_logging import Logging, following
from skipstone.runs.records import RunSpec, read_run

SPEC = RunSpec(model="skipstone:plain8", options={"width": 4}, epochs=3, flow=False)


class Writer:
    """Of TensorBoard."""

    made: dict[str, "Writer"] = {}  # noqa: RUF012 - a stand-in, emptied by the fixture

    def __init__(self, folder):
        self.scalars, self.closed = [], False
        Writer.made[folder] = self

    def add_scalar(self, name, value, step):
        self.scalars.append((name, value, step))

    def add_text(self, name, text):
        self.text = text

    def close(self):
        self.closed = True


@pytest.fixture
def tensorboard(monkeypatch):
    Writer.made = {}
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    return Writer.made


def logged(logging, *specs, runner=None):
    told = []
    with following(logging, specs, None, told.append) as watch:
        (runner or ScriptedRunner(lambda spec: 0.9)).run(specs, watch=watch)
    return told


def test_every_run_has_its_own_log_by_its_folders_name(tmp_path, tensorboard):
    specs = [replace(SPEC, seed=seed, out=str(tmp_path / f"run{seed}")) for seed in (0, 1)]
    assert logged(Logging(tensorboard=tmp_path / "tb"), *specs) == []
    assert set(tensorboard) == {str(tmp_path / "tb" / "run0"), str(tmp_path / "tb" / "run1")}
    writer = tensorboard[str(tmp_path / "tb" / "run0")]
    assert [(name, step) for name, _, step in writer.scalars if name == "epoch/val_accuracy"] == [
        ("epoch/val_accuracy", step) for step in (1, 2, 3)
    ]
    assert '"model": "skipstone:plain8"' in writer.text
    assert writer.closed


def test_what_was_complete_is_not_logged_again(tmp_path, tensorboard):
    spec = replace(SPEC, out=str(tmp_path / "run"))
    ScriptedRunner(lambda spec: 0.9).run([spec])
    assert logged(Logging(tensorboard=tmp_path / "tb"), spec) == []
    assert tensorboard == {}


def test_a_logger_that_fails_is_told_once_and_ends_nothing(tmp_path, tensorboard, monkeypatch):
    def refuse(self, name, value, step):
        raise ConnectionError("the server is gone")

    monkeypatch.setattr(Writer, "add_scalar", refuse)
    spec = replace(SPEC, out=str(tmp_path / "run"))
    (told,) = logged(Logging(tensorboard=tmp_path / "tb"), spec)
    assert told == "TensorBoard: ConnectionError: the server is gone; run is not logged there from here on"
    assert read_run(tmp_path / "run").result is not None


def test_wandb_goes_on_in_the_run_that_it_began(tmp_path, monkeypatch):
    inits, logs, defined = [], [], []
    fake = SimpleNamespace(
        log=logs.append,
        define_metric=lambda *names, **axis: defined.append((*names, *axis.values())),
        finish=lambda: None,
    )
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=lambda **given: inits.append(given) or fake))
    spec = replace(SPEC, out=str(tmp_path / "run"))
    logged(Logging(wandb="skips"), spec)
    assert [log["epoch/step"] for log in logs] == [1, 2, 3]
    assert ("epoch/*", "epoch/step") in defined
    (given,) = inits
    assert (given["project"], given["name"], given["resume"]) == ("skips", "run", "allow")
    logged(Logging(wandb="skips"), replace(spec, out=str(tmp_path / "other")))
    assert inits[1]["id"] != given["id"]


def test_mlflow_has_a_run_for_each_and_finds_it_again(tmp_path, monkeypatch):
    runs, metrics, ended = {}, [], []

    class Client:
        def search_runs(self, where, text):
            return [run for tag, run in runs.items() if tag in text]

        def create_run(self, where, run_name, tags):
            return runs.setdefault(tags["skipstone"], SimpleNamespace(info=SimpleNamespace(run_id=f"{run_name}-id")))

        def log_metric(self, run_id, key, value, step):
            metrics.append((run_id, key, step))

        def set_terminated(self, run_id):
            ended.append(run_id)

    fake = SimpleNamespace(MlflowClient=Client, set_experiment=lambda name: SimpleNamespace(experiment_id=name))
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    spec = replace(SPEC, out=str(tmp_path / "run"))
    logged(Logging(mlflow="skips"), spec)
    assert ("run-id", "epoch/val_loss", 3) in metrics
    assert ended == ["run-id"]
    Logging(mlflow="skips").open(spec)
    assert len(runs) == 1


@pytest.mark.parametrize("flag", ["tensorboard", "wandb", "mlflow"])
@pytest.mark.parametrize("command", ["train", "compare", "search"])
def test_what_is_not_installed_is_said_before_anything_is_trained(tmp_path, monkeypatch, capsys, flag, command):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard" if flag == "tensorboard" else flag, None)
    network = "--models" if command == "compare" else "--model"
    given = [command, network, "skipstone:plain8", "--out", str(tmp_path / "o"), f"--{flag}", str(tmp_path / "x")]
    assert run(given) == 2
    assert f"pip install {flag}" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_train_logs_its_epochs_and_flow_and_resumes_without_doubles(tmp_path, tensorboard, capsys):
    out, logs = str(tmp_path / "r"), str(tmp_path / "tb")
    given = ["train", "--model", "skipstone:plain8", "--option", "width=4", "--epochs", "2", "--out", out]
    assert run([*given, "--tensorboard", logs]) == 0
    (writer,) = tensorboard.values()
    steps = [step for name, _, step in writer.scalars if name == "epoch/train_loss"]
    flow = [step for name, _, step in writer.scalars if name == "flow/grad_norm/fc"]
    assert steps == [1, 2]
    assert flow == [0, 8, 17]
    tensorboard.clear()
    assert run(["train", "--resume", "--out", out, "--tensorboard", logs]) == 0
    assert tensorboard == {}
