"""What a resume rests on: state besides the weights, checkpoints that may be damaged, data that may have changed."""

import signal
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

import skipstone.training.trainer as trainer
from breaking import breaking, full_disk, in_child, kill
from skipstone.core.codec import RecordError
from skipstone.core.errors import InternalError, SkipstoneError
from skipstone.data import load
from skipstone.runs.folder import FolderError, holds_work
from skipstone.runs.records import RunSpec, read_run
from skipstone.training import RunFailed, Silent, train
from skipstone.training.state import Unkept

NETWORKS = '''
import os
import random
from collections import deque

import numpy as np
import torch
from torch import nn

TOTAL = [0]


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))


class Counter(Base):
    """A temperature that falls with the steps taken."""

    def __init__(self):
        super().__init__()
        self.steps = 0

    def forward(self, x):
        self.steps += self.training
        return super().forward(x) / (1 + 0.1 * self.steps)


class Passing(Base):
    """A running mean in a buffer that the state dict leaves out."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(64), persistent=False)

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            with torch.no_grad():
                self.mean.mul_(0.9).add_(x.mean(0), alpha=0.1)
        return self.fc(x - self.mean)


class OwnGenerators(Base):
    def __init__(self):
        super().__init__()
        self.torchs = torch.Generator().manual_seed(1)
        self.numpys = np.random.default_rng(2)
        self.old = np.random.RandomState(3)
        self.pythons = random.Random(4)

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            scale = self.numpys.random() + self.old.rand() + self.pythons.random()
            x = x + 0.1 * scale * torch.randn(x.shape, generator=self.torchs)
        return self.fc(x)


class Helper:
    def __init__(self):
        self.seen = deque(maxlen=3)
        self.counts = {"steps": 0}


class Objects(Base):
    """State in an object of the user's own, shared by two attributes."""

    def __init__(self):
        super().__init__()
        self.helper = Helper()
        self.window = self.helper.seen

    def forward(self, x):
        if self.training:
            self.helper.counts["steps"] += 1
            self.helper.seen.append(self.helper.counts["steps"] % 7)
        return super().forward(x) * (1 + 0.1 * sum(self.window))


class Global(Base):
    def forward(self, x):
        TOTAL[0] += self.training
        return super().forward(x) / (1 + 0.1 * TOTAL[0])


class Stream(Base):
    def __init__(self):
        super().__init__()
        self.noise = (0.01 * i for i in range(10**6))

    def __deepcopy__(self, memo):
        raise TypeError("cannot be copied")

    def forward(self, x):
        return super().forward(x) + (next(self.noise) if self.training else 0)


class Cache(Base):
    """Remembers by device what it could make anew."""

    def __init__(self):
        super().__init__()
        self.made = {}

    def forward(self, x):
        x = x.flatten(1)
        scale = self.made.setdefault(x.device, torch.ones((), device=x.device))
        return self.fc(x) * scale


class Once(Base):
    def __init__(self):
        super().__init__()
        if os.environ.get("SKIPSTONE_TEST_BUILT") == str(os.getpid()) + __file__:
            raise RuntimeError("only once")
        os.environ["SKIPSTONE_TEST_BUILT"] = str(os.getpid()) + __file__


class Raises(Base):
    def __init__(self):
        super().__init__()
        self.steps = 0

    def forward(self, x):
        self.steps += self.training
        if self.steps > 12:
            raise ValueError("no more than twelve")
        return super().forward(x)


class Exits(Base):
    def forward(self, x):
        if self.training:
            raise SystemExit(0)
        return super().forward(x)


class View(nn.Module):
    """The idiom of a thousand notebooks, which a channels-last tensor refuses."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.fc = nn.Linear(4 * 64, 10)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        return self.fc(x.view(x.size(0), -1))


class Squeeze(Base):
    """Takes any batch but one of 450 images, the size of the test set."""

    def forward(self, x):
        return super().forward(x)[: 449 if len(x) == 450 else None]


class Merge(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 8, 1), nn.Conv2d(1, 4, 1)

    def forward(self, x):
        return (self.wide(x) + self.narrow(x)).mean((2, 3))
'''


class Notes(Silent):
    """Keeps what it is told; Ctrl-C after `stop` epochs."""

    def __init__(self, stop: int = 10**9) -> None:
        self.told: list[str] = []
        self.stop = stop

    def noted(self, text: str) -> None:
        self.told.append(text)

    def finished_epoch(self, record: object) -> None:
        self.stop -= 1
        if self.stop == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return network_specs(tmp_path_factory.mktemp("networks"))


def network_specs(folder):
    """Specs of the networks above by their name, from a file written into `folder`."""
    file = folder / "networks.py"
    file.write_text(textwrap.dedent(NETWORKS))
    return lambda name, folder, **fields: RunSpec(
        model=f"{file}:{name}", device="cpu", out=str(folder), **{"epochs": 3, "flow": False, **fields}
    )


def numbers(folder: Path) -> list:
    return [replace(record, seconds=0.0) for record in read_run(folder).epochs]


def interrupted(spec: RunSpec, after: int) -> Notes:
    notes = Notes(after)
    with pytest.raises(KeyboardInterrupt):
        train(spec, progress=notes)
    return notes


@pytest.mark.parametrize("name", ["Counter", "Passing", "OwnGenerators", "Objects"])
def test_state_besides_the_weights_resumes_bit_for_bit(networks, tmp_path, name):
    whole = Notes()
    train(networks(name, tmp_path / "whole"), progress=whole)
    assert whole.told == []
    interrupted(networks(name, tmp_path / "cut"), 1)
    train(networks(name, tmp_path / "cut"), resume=True)
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")


def test_without_that_state_the_same_resume_parts(networks, tmp_path, monkeypatch):
    """The counterpart: what the test above finds equal differs where the state is forgotten, and the trial says so."""
    train(networks("Counter", tmp_path / "whole"))
    monkeypatch.setattr("skipstone.training.checkpoint.read_state", lambda model: ({}, Unkept()))
    notes = interrupted(networks("Counter", tmp_path / "cut"), 1)
    assert "a resumed run will not be bit-equal to an uninterrupted one: saved and restored" in notes.told[0]
    train(networks("Counter", tmp_path / "cut"), resume=True)
    assert numbers(tmp_path / "cut") != numbers(tmp_path / "whole")


@pytest.mark.parametrize("name", ["Cache", "Once"])
def test_what_holds_no_state_and_what_is_built_once_only(networks, tmp_path, name):
    """A cache by device is no reason to warn; a network that can't be built again is one, and no reason to refuse."""
    notes = Notes()
    train(networks(name, tmp_path / "x", epochs=1), progress=notes)
    if name == "Cache":
        assert notes.told == []
    else:
        [note] = notes.told
        assert "saved after one step and built anew, it could not go on: " in note
        assert "raised RuntimeError: only once" in note


def test_a_fault_of_the_checker_stops_nobody_from_training(networks, tmp_path, monkeypatch):
    def broken(model, shape):
        raise InternalError("skipstone failed")

    monkeypatch.setattr("skipstone.training.model.check", broken)
    notes = Notes()
    train(networks("Counter", tmp_path / "x", epochs=1), progress=notes)
    assert notes.told == ["it trains, but the checker says: the checker itself failed: skipstone failed"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Global", "it keeps state outside its modules (a global, a class attribute, a closure)"),
        ("Stream", "Stream.noise is a generator, which moves on as it is read"),
    ],
)
def test_state_that_no_checkpoint_holds_is_told_before_the_first_step(networks, tmp_path, name, reason):
    notes = Notes()
    train(networks(name, tmp_path / "x", epochs=1), progress=notes)
    [note] = [text for text in notes.told if text.startswith("a resumed run will not be bit-equal to an uninterrupted")]
    assert reason in note
    assert read_run(tmp_path / "x").environment["notes"] == notes.told


def test_a_damaged_checkpoint_falls_back_to_the_one_before(networks, tmp_path):
    train(networks("Counter", tmp_path / "whole"))
    spec = networks("Counter", tmp_path / "cut")
    interrupted(spec, 2)
    newest = tmp_path / "cut" / "checkpoint.pt"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 4
    newest.write_bytes(data)
    notes = Notes()
    train(spec, resume=True, progress=notes)
    [note] = notes.told
    assert f"{newest}: damaged: the checksum at its end does not fit its " in note
    assert note.endswith("going on from checkpoint.previous.pt, after epoch 1")
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")


def test_with_no_checkpoint_that_can_be_read_the_run_is_not_begun_behind_ones_back(networks, tmp_path):
    spec = networks("Counter", tmp_path / "x")
    interrupted(spec, 2)
    for path in (tmp_path / "x").glob("checkpoint*"):
        path.write_bytes(b"nonsense")
    with pytest.raises(RecordError, match=r"point\.pt: .*point\.previous\.pt: .*the run has to be begun anew"):
        train(spec, resume=True)


def test_data_that_has_changed_is_refused(networks, tmp_path, monkeypatch):
    spec = networks("Counter", tmp_path / "x")
    interrupted(spec, 1)

    def other(*arguments, **named):
        splits = load(*arguments, **named)
        splits.train.pixels[0, 0, 0, 0] ^= 1
        return splits

    monkeypatch.setattr(trainer, "load", other)
    with pytest.raises(FolderError, match="the data is not what the run began with: digits has the fingerprint"):
        train(spec, resume=True)


def test_a_network_that_raises_in_mid_training_is_one_line_and_what_was_finished_is_kept(networks, tmp_path):
    spec = networks("Raises", tmp_path / "x")
    with pytest.raises(
        RunFailed, match=r"Raises raised in step 4 of epoch 2: ValueError: no more than twelve \(.*works\.py:\d+\)"
    ) as caught:
        train(spec)
    assert (caught.value.epoch, caught.value.step) == (2, 4)
    assert len(read_run(spec.out).epochs) == 1


def test_a_network_that_exits_is_refused(networks, tmp_path):
    with pytest.raises(SkipstoneError, match=r"cannot be trained on digits's images .*: SystemExit: 0"):
        train(networks("Exits", tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_a_view_behind_a_convolution_trains_in_torchs_own_layout(networks, tmp_path):
    notes = Notes()
    train(networks("View", tmp_path / "whole", epochs=2), progress=notes)
    [note] = notes.told
    assert note.startswith("trained in torch's own memory layout, since as channels-last it raises RuntimeError: view")
    interrupted(networks("View", tmp_path / "cut", epochs=2), 1)
    train(networks("View", tmp_path / "cut", epochs=2), resume=True)
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")


def test_a_network_that_cannot_be_evaluated_is_told_so_first(networks, tmp_path):
    with pytest.raises(SkipstoneError, match=r"cannot be evaluated on 450 images at once: .*\(449, 10\)"):
        train(networks("Squeeze", tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_the_checkers_finding_comes_with_the_refusal(networks, tmp_path):
    with pytest.raises(SkipstoneError, match=r"cannot take digits's images .*; SK101 cannot add 8 channels to 4"):
        train(networks("Merge", tmp_path / "x"))


@pytest.mark.parametrize("how", [kill, full_disk], ids=["kill", "full disk"])
@pytest.mark.parametrize("stride", [23, pytest.param(1, marks=pytest.mark.slow)])
def test_the_real_trainer_broken_at_system_calls_ends_as_if_nothing_had_been(networks, tmp_path, how, stride):
    with breaking(0, kill) as made:
        train(networks("Counter", tmp_path / "whole", epochs=2))
    total = len(made)
    assert total > 50
    for at in range(1, total + 1, stride):
        spec = networks("Counter", tmp_path / f"r{at}", epochs=2)

        def broken(at: int = at, spec: RunSpec = spec) -> None:
            with breaking(at, how):
                train(spec, resume=True)

        status = in_child(broken)
        assert status in (-signal.SIGKILL, 0) if how is kill else status in (0, 1)
        assert read_run(spec.out).result is None or status == 0 or how is kill if holds_work(Path(spec.out)) else True
        train(spec, resume=True)
        assert numbers(Path(spec.out)) == numbers(tmp_path / "whole")
