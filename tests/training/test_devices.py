"""One run in several processes: the same curve as in one, and a killed process that costs nothing finished."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import distributed, nn

from skipstone.core.errors import SkipstoneError
from skipstone.data import Batches, load
from skipstone.runs.losses import Losses
from skipstone.runs.records import Recipe, RunSpec, read_run
from skipstone.training import train
from skipstone.training.ranks import Ranks
from skipstone.training.synced_norm import sync_norms

NETWORKS = """
    import os
    from torch import nn

    class Raises(nn.Module):
        '''In its second process alone.'''
        def __init__(self):
            super().__init__()
            self.fc, self.steps = nn.Linear(64, 10), 0

        def forward(self, x):
            self.steps += self.training
            if self.steps > 12 and os.environ.get("RANK") == "1":
                raise ValueError("no more than twelve")
            return self.fc(x.flatten(1))

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.spare = nn.Linear(64, 10), nn.Linear(3, 3)

        def forward(self, x):
            return self.fc(x.flatten(1))
"""


def spec_of(folder: Path, **fields) -> RunSpec:
    """A residual network with batch norm: what its processes must agree on to be one network."""
    given = {"model": "skipstone:resnet8", "options": {"width": 4}, "device": "cpu", "epochs": 4, **fields}
    return RunSpec(out=str(folder), **given)


def curve(folder: Path) -> list[list[float]]:
    return [[e.train_loss, e.val_loss, e.train_accuracy, e.val_accuracy, e.grad_norm] for e in read_run(folder).epochs]


def numbers(folder: Path) -> list:
    return [replace(record, seconds=0.0) for record in read_run(folder).epochs]


@pytest.mark.parametrize("parts", [1, 2, 3, 5])
def test_the_parts_of_a_batch_are_the_batch(parts):
    images = load("digits").train
    whole = list(Batches(images, 128, augmentation="crop", seed=3).epoch(2))
    shares = [list(Batches(images, 128, augmentation="crop", seed=3, part=(k, parts)).epoch(2)) for k in range(parts)]
    for step, (x, y) in enumerate(whole):
        assert torch.equal(torch.cat([share[step][0] for share in shares]), x)
        assert torch.equal(torch.cat([share[step][1] for share in shares]), y)


@pytest.fixture
def group(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("fields", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}])
def test_a_synced_norm_is_the_norm_of_the_batch(group, fields):
    torch.manual_seed(0)
    plain, synced = (nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5, **fields)) for _ in range(2))
    synced.load_state_dict(plain.state_dict())
    synced[1].register_forward_hook(lambda *_: None)
    before = synced[1]
    sync_norms(synced)
    assert synced[1] is before
    assert isinstance(synced[1], nn.BatchNorm2d)
    for _ in range(3):
        x = 5 + torch.randn(4, 3, 9, 9)
        ours, theirs = synced(x), plain(x)
        torch.testing.assert_close(ours, theirs)
        weight = torch.randn_like(ours)
        for output in (ours, theirs):
            (output * weight).sum().backward()
    for one, other in zip(synced.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(dict(synced.named_buffers()), dict(plain.named_buffers()))
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x))


def test_losses_count_only_without_an_epoch_in_between():
    losses = Losses(allowed=2, epochs=3)
    assert losses.bearable(3)
    assert losses.bearable(3)
    assert losses.bearable(5), "it had come further"
    assert losses.bearable(5)
    assert not losses.bearable(5)
    assert losses.said == "lost 3 times without an epoch in between"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"devices": 4096}, r"devices is 4096, and this machine has \d+ cores"),
        ({"devices": 2, "out": None}, "a run on 2 devices needs a folder"),
        ({"devices": 2, "recipe": Recipe(batch_size=1)}, "devices is 2, more than the 1 images of a batch"),
        ({"devices": 0}, "devices is 0, expected at least 1"),
        ({"devices": 2, "model": "skipstone:resnet10"}, "no resnet of depth 10"),
    ],
)
def test_what_cannot_be_is_said_before_a_process_is_started(fields, text, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    with pytest.raises(SkipstoneError, match=text):
        train(replace(spec_of(tmp_path / "x"), **fields))
    assert not (tmp_path / "x").exists()


def test_torchrun_with_another_number_of_processes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(
        SkipstoneError, match="torchrun started 4 processes, and the run has devices 2: give --devices 4"
    ):
        train(replace(spec_of(tmp_path / "x"), devices=2))


def test_alone_nothing_is_sent():
    alone = Ranks()
    values = torch.ones(2)
    assert alone.sum(values) is values
    assert alone.from_first(lambda: 3) == 3
    alone.align(nn.BatchNorm1d(2))


# ---- with real processes


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [
        sys.executable, "-m", "skipstone.cli", "train", "--model", "skipstone:resnet8", "--option", "width=4",
        "--device", "cpu", "--devices", "2", "--epochs", "4", "--out", str(folder), *arguments,
    ]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ranks_of(parent: int) -> list[int]:
    """The processes two below: torchrun's own."""
    below = lambda pid: [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]  # noqa: E731
    return [rank for torchrun in below(parent) for rank in below(torchrun)]


def wait_for_epochs(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 200
    while not (folder / "metrics.jsonl").is_file() or (folder / "metrics.jsonl").read_text().count("\n") < count:
        assert time.monotonic() < deadline, "no epoch in time"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def in_two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "x"
    out, err = start(folder).communicate(timeout=220)
    assert "test accuracy" in out, err
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("batch", [128, 125])
def test_one_process_and_two_give_the_same_curve(in_two, tmp_path, batch):
    """Not bit for bit: a sum of two halves rounds otherwise than the whole, and training magnifies that."""
    two = in_two
    if batch != 128:  # parts of unequal size
        two = tmp_path / "two"
        train(spec_of(two, devices=2, recipe=Recipe(batch_size=batch), epochs=2))
    train(spec_of(tmp_path / "one", recipe=Recipe(batch_size=batch), epochs=len(curve(two))))
    one = torch.tensor(curve(tmp_path / "one"))
    assert (one - torch.tensor(curve(two))).abs().max() < 1e-3
    assert read_run(two).spec.recipe.batch_size == batch
    assert len(read_run(two).flow) == len(one) + 1


@pytest.mark.slow
def test_a_killed_process_starts_again_from_the_checkpoint_and_ends_bit_for_bit(in_two, tmp_path):
    process = start(tmp_path / "x")
    wait_for_epochs(tmp_path / "x", 2)
    os.kill(ranks_of(process.pid)[1], signal.SIGKILL)
    _, err = process.communicate(timeout=220)
    assert process.returncode == 0, err
    [after] = re.findall(r"a process was lost \(killed by SIGKILL\); all start again after epoch (\d)", err)
    assert int(after) >= 2
    assert numbers(tmp_path / "x") == numbers(in_two)
    resumed = read_run(tmp_path / "x").environment["resumed"]
    assert [part["epochs_done"] for part in resumed] == [int(after)]


@pytest.mark.slow
def test_the_ranks_end_with_the_command_and_it_goes_on_to_the_same_end(in_two, tmp_path):
    process = start(tmp_path / "x")
    wait_for_epochs(tmp_path / "x", 1)
    ranks = ranks_of(process.pid)
    assert len(ranks) == 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{rank}").exists() for rank in ranks):
        assert time.monotonic() < deadline, "a rank outlived the command"
        time.sleep(0.1)
    out, err = start(tmp_path / "x", "--resume").communicate(timeout=220)
    assert "test accuracy" in out, err
    assert numbers(tmp_path / "x") == numbers(in_two)


@pytest.mark.slow
def test_what_one_process_raises_is_one_line_and_is_not_tried_again(tmp_path):
    file = tmp_path / "networks.py"
    file.write_text(textwrap.dedent(NETWORKS))
    spec = spec_of(tmp_path / "x", model=f"{file}:Raises", options={}, devices=2)
    with pytest.raises(SkipstoneError, match=r"Raises raised in step \d+ of epoch 2: ValueError: no more than twelve"):
        train(spec)
    assert len(read_run(spec.out).epochs) == 1


@pytest.mark.slow
def test_parameters_without_a_gradient_are_looked_for(tmp_path):
    file = tmp_path / "networks.py"
    file.write_text(textwrap.dedent(NETWORKS))
    train(spec_of(tmp_path / "x", model=f"{file}:Unused", options={}, devices=2, epochs=1))
    assert read_run(tmp_path / "x").environment["unused"] == ["spare.weight", "spare.bias"]


@pytest.mark.slow
def test_under_a_torchrun_of_ones_own(in_two, tmp_path):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "skipstone.cli",
        "train", "--model", "skipstone:resnet8", "--option", "width=4", "--device", "cpu", "--devices", "2",
        "--epochs", "4", "--out", str(tmp_path / "x"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=220)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1
    assert numbers(tmp_path / "x") == numbers(in_two)
