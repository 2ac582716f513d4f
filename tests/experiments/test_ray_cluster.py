"""A real cluster of two nodes on loopback: a node killed in mid-run, the driver killed and started again.

Needs Ray (`make ray`). A node is a raylet and the processes it started, all of which SIGKILL takes at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from skipstone.experiments.search import read_found
from skipstone.runs.records import read_run

pytestmark = [pytest.mark.ray, pytest.mark.slow]

EPOCHS, SEEDS = 30, 3
COMPARE = [
    sys.executable, "-m", "skipstone.cli", "compare", "--models", "plain8", "--option", "width=4", "--seeds",
    str(SEEDS), "--epochs", str(EPOCHS),
]  # fmt: skip
SEARCH = [
    sys.executable, "-m", "skipstone.cli", "search", "--model", "plain8", "--option", "width=4", "--epochs", "2",
    "--runs", "4", "--seeds", "2", "--finalists", "1", "--space", "lr=0.01..0.5:log", "--workers", "2",
]  # fmt: skip


class Node:
    """What `ray start` started: its processes are a session of their own."""

    def __init__(self, port: int, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus", "1", *arguments]
        command += ["--object-store-memory", "80000000", "--disable-usage-stats"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def kill(self) -> None:
        """SIGKILL to everything it started, as where the power goes."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [*descendants(int(child)), int(child)]
    return found


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch):
    """(address, the second node, a function that starts another)."""
    pytest.importorskip("ray")
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "5" * 32, "RAY_USAGE_STATS_ENABLED": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # Ray's sockets lie below it, and the name of a socket may have a hundred letters.
    folder = tmp_path_factory.mktemp("ray")
    port = 20_000 + os.getpid() % 20_000
    nodes = [Node(port, "--head", "--port", str(port), "--include-dashboard=false", "--temp-dir", str(folder))]
    address = f"127.0.0.1:{port}"
    wait_until(lambda: nodes_of(address) == 1, 90)

    def another() -> Node:
        before = nodes_of(address)
        nodes.append(Node(port, "--address", address))
        wait_until(lambda: nodes_of(address) == before + 1, 90)
        return nodes[-1]

    yield address, another(), another
    for node in nodes[::-1]:
        if node.process.poll() is None:
            node.kill()


def nodes_of(address: str) -> int:
    """How many nodes the cluster has had."""
    code = (
        "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR');"
        "print(len(ray.nodes()))"
    )
    done = subprocess.run([sys.executable, "-c", code, address], capture_output=True, text=True, timeout=90)
    return int(done.stdout.split()[0]) if done.stdout else 0


def wait_until(holds, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def epochs(out: Path) -> list[int]:
    return [path.read_bytes().count(b"\n") for path in sorted(out.glob("runs/*/metrics.jsonl"))]


def numbers(folder: Path) -> list:
    return [replace(record, seconds=0.0) for record in read_run(folder).epochs]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    out = tmp_path_factory.mktemp("local")
    subprocess.run([*COMPARE, "--out", str(out)], check=True, capture_output=True, timeout=200)
    return out


def test_a_node_and_the_driver_are_killed_and_all_ends_as_the_local_runner_ends(local, cluster, tmp_path):
    address, node, another = cluster
    out = tmp_path / "ray"
    command = [*COMPARE, "--out", str(out), "--runner", "ray", "--address", address]

    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: sum(count >= 2 for count in epochs(out)) >= 2, 120)  # both nodes train
    node.kill()
    another()
    before = sum(epochs(out))
    wait_until(lambda: sum(epochs(out)) > before + 3, 120)
    driver.kill()
    _, said = driver.communicate()
    assert "lost with its process or node" in said
    assert "goes on after epoch" in said
    finished = {path: path.read_bytes() for path in out.glob("runs/*/result.json")}
    assert len(finished) < SEEDS, "the driver was to be killed in mid-run: give the runs more epochs"

    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in finished} == finished, "what is finished is not trained again"
    for seed in range(SEEDS):
        ours, theirs = (read_run(folder / "runs" / f"plain8_seed{seed}") for folder in (out, local))
        assert numbers(ours.folder) == numbers(theirs.folder)
        assert ours.flow == theirs.flow
        assert replace(ours.result, wall_seconds=0, out=None) == replace(theirs.result, wall_seconds=0, out=None)
    assert any(read_run(folder).environment.get("resumed") for folder in out.glob("runs/*"))
    assert not list(out.glob("runs/.skipstone*"))


def test_a_token_that_is_not_the_clusters_is_one_line(cluster, tmp_path, monkeypatch):
    address, _, _ = cluster
    monkeypatch.setenv("RAY_AUTH_TOKEN", "6" * 32)
    command = [*COMPARE, "--out", str(tmp_path / "x"), "--runner", "ray", "--address", address]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        f"skipstone: the Ray cluster at {address} refuses our token: set RAY"
    )
    assert time.monotonic() - began < 60


def test_a_search_whose_driver_is_killed_finds_what_it_finds_locally(cluster, tmp_path):
    address, _, _ = cluster
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run([*SEARCH, "--out", str(here)], check=True, capture_output=True, timeout=300)
    command = [*SEARCH, "--out", str(there), "--runner", "ray", "--address", address]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: bool(list(there.glob("trials/*/result.json"))), 120)
    driver.kill()
    driver.wait()
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    ours, theirs = read_found(there), read_found(here)
    assert ours.finalists == theirs.finalists
    assert (ours.default_test, ours.importance) == (theirs.default_test, theirs.importance)
    trials = [json.loads((folder / "trials.json").read_text())["trials"] for folder in (here, there)]
    assert trials[0] == trials[1]
