"""The cluster runner without a cluster: what it asks for, and what it makes of what Ray says."""

import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from skipstone.cli import run
from skipstone.core.errors import SkipstoneError
from skipstone.core.lock import Lock
from skipstone.experiments import cluster, compare, ray_cluster
from skipstone.experiments.cluster import RayRunner, train_on_node
from skipstone.experiments.runner import attempt
from skipstone.runs.folder import is_held
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import RunSpec

NODES = [{"CPU": 4.0, "GPU": 2.0, "memory": 16e9}, {"CPU": 3.0, "memory": 8e9}]


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class TaskCancelledError(RayError):
    pass


class FakeRay:
    """Calls the task when its result is asked for; `ends` are what befalls the calls in turn, None what it returns."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError, TaskCancelledError=TaskCancelledError)

    def __init__(self, *ends):
        self.ends, self.submitted, self.options, self.cancelled = list(ends), [], None, []

    def remote(self, **options):
        self.options = options
        return lambda task: SimpleNamespace(remote=lambda spec, *where: self._submit(spec))

    def _submit(self, spec):
        self.submitted.append(spec)
        return len(self.submitted) - 1

    def nodes(self):
        return [{"Resources": node, "Alive": True} for node in NODES]

    def wait(self, refs, num_returns, timeout):
        return refs[:num_returns], refs[num_returns:]

    def get(self, ref):
        spec = self.submitted[ref]
        end = self.ends.pop(0) if self.ends else None
        if callable(end):
            end = end(spec)
        if isinstance(end, BaseException):
            raise end
        return Outcome(Path(spec.out).name, "finished")

    def cancel(self, ref):
        self.cancelled.append(ref)


@pytest.fixture
def fake(monkeypatch):
    def install(*ends):
        ray = FakeRay(*ends)
        monkeypatch.setattr(ray_cluster, "find_spec", lambda name: True)
        monkeypatch.setattr(cluster, "has_token", lambda: True)
        monkeypatch.setattr(cluster, "connected", lambda address: _Entered(ray))
        return ray

    return install


class _Entered:
    def __init__(self, ray):
        self.ray = ray

    def __enter__(self):
        return self.ray, NODES

    def __exit__(self, *error):
        return None


@pytest.fixture
def specs(tmp_path):
    return [RunSpec(seed=seed, epochs=4, out=str(tmp_path / "runs" / f"r{seed}")) for seed in range(3)]


def an_epoch_more(spec):
    folder = Path(spec.out)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write("{}\n")
    return RayError("The node died.\nmore")


def test_what_a_run_reserves_and_how_many_fit():
    runner = RayRunner(cpus=2, gpus=0.5, memory_gb=3)
    assert runner.resources() == {"num_cpus": 2, "num_gpus": 0.5, "memory": 3_000_000_000}
    assert runner.room(NODES) == 2, "two of four by CPUs; the other node has no GPU"
    assert RayRunner().resources() == {"num_cpus": 1.0}
    assert RayRunner().room(NODES) == 7
    assert RayRunner(memory_gb=6).room(NODES) == 3


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"cpus": -1}, "cpus is -1, expected at least 0"),
        ({"gpus": 1.5}, "gpus is 1.5, expected a part of one, or whole ones"),
        ({"memory_gb": float("inf")}, "memory_gb is inf"),
        ({"at_once": 0}, "at_once is 0, expected at least 1"),
        ({"retries": -1}, "retries is -1"),
    ],
)
def test_impossible_reservations_are_refused(fields, text):
    with pytest.raises(SkipstoneError, match=text):
        RayRunner(**fields)


def test_a_lost_run_goes_on_and_is_given_up_when_it_gets_no_further(fake, specs):
    seen = []
    dead = RayError("The node died.\nmore")
    ray = fake(dead, dead, an_epoch_more, dead)
    [outcome] = RayRunner(retries=2).run(specs[:1], watch=seen.append)
    assert outcome == Outcome("r0", "finished")
    assert len(ray.submitted) == 5, "an epoch in between, and the count of losses begins anew"
    assert seen[0].note == "lost with its process or node (The node died.); it begins anew"
    assert seen[2].note.endswith("it goes on after epoch 1")
    assert ray.options["max_retries"] == 0

    fake(dead, dead, dead)
    [outcome] = RayRunner(retries=2).run(specs[1:2])
    assert outcome.status == "killed"
    assert outcome.message == "lost 3 times without an epoch in between; the last: The node died."


def test_what_a_node_cannot_begin_is_that_runs_failure_alone(fake, specs):
    fake(RayTaskError("Traceback\nModuleNotFoundError: No module named 'skipstone'"))
    first, *others = RayRunner().run(specs)
    assert first.status == "failed"
    assert first.message.endswith("begun on its node: ModuleNotFoundError: No module named 'skipstone'")
    assert [o.status for o in others] == ["finished", "finished"]


def test_ctrl_c_stops_what_runs_and_starts_nothing_more(fake, specs):
    ray = fake(None, KeyboardInterrupt(), TaskCancelledError(), None)
    statuses = [outcome.status for outcome in RayRunner(at_once=1).run(specs)]
    assert statuses == ["finished", "interrupted", "interrupted"]
    assert len(ray.submitted) == 2


def test_a_cluster_that_is_lost_is_one_line(fake, specs, monkeypatch):
    ray = fake()
    monkeypatch.setattr(ray, "wait", lambda *args, **named: (_ for _ in ()).throw(RayError("GCS is gone")))
    with pytest.raises(SkipstoneError, match="no longer answers: GCS is gone; what the runs had finished is kept"):
        RayRunner().run(specs)


def test_no_room_and_no_token_are_said_before_anything_runs(fake, specs, monkeypatch):
    fake()
    monkeypatch.setattr(cluster, "has_token", lambda: False)
    seen = []
    RayRunner(cpus=64).run(specs[:1], watch=seen.append)
    assert seen[0].note.startswith("none of the cluster's 2 nodes has 64 CPUs, 0 GPUs and 0 GB for a run: waiting")
    assert "asks for no token" in seen[1].note


def test_a_node_that_does_not_see_the_storage_says_so(specs, tmp_path):
    outcome = train_on_node(specs[0], str(tmp_path), "mark")
    assert outcome.status == "failed"
    assert outcome.message.endswith(f"driver's {tmp_path / 'runs'}: it must lie on storage that all nodes share")
    gone = train_on_node(specs[0], str(tmp_path / "gone"), "mark")
    assert f"driver's {tmp_path / 'gone'}" in gone.message


def test_no_mark_is_left_behind(fake, specs, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".skipstone-seen-old").touch()
    fake()
    RayRunner().run(specs)
    assert not list((tmp_path / "runs").iterdir())


def test_a_folder_that_is_held_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    lock = Lock(tmp_path / "x" / ".lock")
    assert lock.take()
    waited = []

    def train(spec, resume):
        waited.append(is_held(tmp_path / "x"))

    monkeypatch.setattr("skipstone.training.train", train)
    spec = RunSpec(out=str(tmp_path / "x"))
    assert attempt(spec, patience_seconds=0.3).status == "finished"
    threading.Timer(0.3, lock.release).start()
    assert attempt(spec, patience_seconds=60).status == "finished"
    assert waited == [True, False]


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (
            "127.0.0.1:1",
            "no Ray cluster answers at 127.0.0.1:1: Connection refused; start one with: RAY_AUTH_MODE=token",
        ),
        ("ray://head:10001", "address 'ray://head:10001' is not understood, expected host:port"),
        ("head", "address 'head' is not understood"),
        ("head:0", "address 'head:0' is not understood"),
    ],
)
def test_an_address_that_does_not_answer_is_said_before_anything_else(address, text, fake, tmp_path):
    fake()
    with pytest.raises(SkipstoneError, match=text):
        compare([RunSpec(model="no-such-network")], tmp_path, runner=RayRunner(address))


def test_flags_of_a_cluster_need_the_runner(tmp_path, capsys, monkeypatch):
    compare_it = ["compare", "--models", "plain8", "--out", str(tmp_path / "x")]
    assert run([*compare_it, "--memory-gb", "2"]) == 2
    assert "--memory-gb is of a cluster; give --runner ray with it" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run([*compare_it, "--runner", "ray"]) == 2
    assert "runner ray needs Ray (some 80 MB): pip install 'skipstone[ray]'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_what_is_complete_needs_no_cluster(fake, specs, monkeypatch):
    def never(address):
        raise AssertionError(address)

    fake()
    monkeypatch.setattr(cluster, "kept", lambda specs, watch: {i: Outcome("x", "kept") for i in range(len(specs))})
    monkeypatch.setattr(cluster, "connected", never)
    assert {o.status for o in RayRunner().run(specs)} == {"kept"}


def test_usage_statistics_are_off_and_a_token_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    ray = SimpleNamespace(is_initialized=lambda: True, nodes=list)
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: True)
    with ray_cluster.connected("auto"):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
        assert "RAY_AUTH_MODE" not in os.environ
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    with ray_cluster.connected("auto"):
        assert os.environ["RAY_AUTH_MODE"] == "token"


def test_specs_stay_what_they_are(fake, specs):
    ray = fake()
    RayRunner().run([replace(spec, options={"width": 4}) for spec in specs])
    assert [spec.options for spec in ray.submitted] == [{"width": 4}] * 3
