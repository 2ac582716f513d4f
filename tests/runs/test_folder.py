"""The run folder with the trainer left out: killed and starved at every system call, it is a run that goes on."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from breaking import breaking, full_disk, in_child, kill
from skipstone.core.errors import SkipstoneError
from skipstone.core.files import is_partial
from skipstone.runs.flow import FlowRecord, LayerFlow
from skipstone.runs.folder import FolderError, RunFolder, demand_free, demand_same, holds_work, read_asked
from skipstone.runs.records import EpochRecord, RunResult, RunSpec, read_run

SPEC = RunSpec(epochs=3)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """A killed process loses nothing that it wrote, synced or not, and these tests write some ten thousand files."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


RESULT = RunResult(0.9, 0.3, 0.95, 2, 0.94, None, 0.01, True, 1000, 3, 12.5)


def epoch(number: int) -> EpochRecord:
    return EpochRecord(number, 1 / number, 0.5, 1.0, 0.5, 0.1, 0.0, 1.0, 0.0)


def flow(number: int) -> list[FlowRecord]:
    return [FlowRecord(number, number, (LayerFlow("stem", "conv", 1.0, 2.0),))]


def go_on(path: Path) -> None:
    """What the trainer does with a folder; an epoch's checkpoint is its number."""
    folder = RunFolder(path)
    try:
        _go_on(path, folder)
    finally:
        folder.release()


def _go_on(path: Path, folder: RunFolder) -> None:
    done = 0
    if holds_work(path):
        record = read_run(path)
        demand_same(record, SPEC)
        if record.result is not None:
            return
        folder.hold()
        done = int(folder.checkpoints()[0].read_bytes())
        folder.resume(done, {})
    else:
        folder.create(SPEC, {})
    for number in range(done + 1, SPEC.epochs + 1):
        folder.append(epoch(number), flow(number))
        folder.keep(b"%d" % number)
    folder.finish(RESULT)


def assert_whole(path: Path) -> None:
    record = read_run(path)
    assert [e.epoch for e in record.epochs] == [f.epoch for f in record.flow] == [1, 2, 3]
    assert record.result == RESULT
    assert [int(p.read_bytes()) for p in RunFolder(path).checkpoints()] == [3, 2]
    assert not [p.name for p in path.iterdir() if is_partial(p.name)]


def number_of_calls(path: Path) -> int:
    with breaking(0, kill) as made:
        go_on(path)
    assert_whole(path)
    assert len(made) > 60
    return len(made)


def test_killed_at_any_system_call_the_run_goes_on(tmp_path):
    for at in range(1, number_of_calls(tmp_path / "whole") + 1):
        path = tmp_path / f"r{at}"

        def work(at: int = at, path: Path = path) -> None:
            with breaking(at, kill):
                go_on(path)

        assert in_child(work) == -signal.SIGKILL
        kept = max((int(p.read_bytes()) for p in RunFolder(path).checkpoints()), default=0)
        assert len(read_run(path).epochs if holds_work(path) else []) >= kept
        go_on(path)
        assert_whole(path)


def test_killed_again_while_it_resumes_it_still_goes_on(tmp_path):
    def started(path: Path) -> None:
        with breaking(60, kill):
            go_on(path)

    for at in range(1, 40):
        path = tmp_path / f"r{at}"

        def again(at: int = at, path: Path = path) -> None:
            with breaking(at, kill):
                go_on(path)

        assert in_child(lambda path=path: started(path)) == -signal.SIGKILL
        in_child(again)
        go_on(path)
        assert_whole(path)


def test_on_a_disk_full_at_any_system_call_nothing_is_lost(tmp_path):
    for at in range(1, number_of_calls(tmp_path / "whole") + 1):
        path = tmp_path / f"r{at}"
        with breaking(at, full_disk):
            try:
                go_on(path)
            except FolderError as error:
                said = str(error)
            else:
                said = ""
        if said:
            assert "cannot be written: No space left on device" in said
            assert ("--resume goes on from it" in said) == holds_work(path)
        go_on(path)
        assert_whole(path)


def test_a_disk_that_stays_full_keeps_what_was_finished(tmp_path):
    go_on_until_full = RunFolder(tmp_path / "x")
    go_on_until_full.create(SPEC, {})
    go_on_until_full.append(epoch(1), flow(1))
    go_on_until_full.keep(b"1")
    go_on_until_full.release()
    for _ in range(3):
        with breaking(1, full_disk), pytest.raises(FolderError):
            go_on(tmp_path / "x")
    assert int(RunFolder(tmp_path / "x").checkpoints()[0].read_bytes()) == 1
    go_on(tmp_path / "x")
    assert_whole(tmp_path / "x")


def test_a_run_that_came_to_nothing_is_taken_over_and_one_with_work_is_not(tmp_path):
    path = tmp_path / "x"
    path.mkdir()
    (path / "spec.json").write_text("")  # as a kill left it once, between making the file and writing it
    with pytest.raises(FolderError, match=r"a run that came to nothing, and its spec\.json cannot be read; start it"):
        read_asked(path)
    folder = RunFolder(path)
    folder.create(replace(SPEC, seed=5), {})
    folder.append(epoch(1), flow(1))
    folder.release()
    folder.create(SPEC, {})  # another spec, an epoch's lines, and no checkpoint that could go on from them
    assert read_run(path).spec == SPEC
    assert read_run(path).epochs == ()
    folder.append(epoch(1), flow(1))
    folder.keep(b"1")
    folder.release()
    with pytest.raises(FolderError, match="holds a run already; continue it with --resume"):
        demand_free(path)


def test_two_at_a_time_are_refused(tmp_path):
    first, second = RunFolder(tmp_path / "x"), RunFolder(tmp_path / "x")
    first.create(SPEC, {})
    with pytest.raises(FolderError, match="is being written by another process"):
        second.create(SPEC, {})
    first.release()
    second.create(SPEC, {})
    second.release()


def test_garbage_beyond_the_checkpoint_does_not_matter_and_before_it_does(tmp_path):
    folder = RunFolder(tmp_path / "x")
    folder.create(SPEC, {})
    folder.append(epoch(1), flow(1))
    folder.keep(b"1")
    folder.release()
    metrics = tmp_path / "x" / "metrics.jsonl"
    with metrics.open("ab") as file:
        file.write(b"\0\0\xff\n{\n")
    assert [e.epoch for e in folder.resume(1, {}).epochs] == [1]
    metrics.write_bytes(b"\0\n" + metrics.read_bytes())
    with pytest.raises(FolderError, match=r"metrics\.jsonl has 0 epochs, expected the checkpoint's 1"):
        folder.resume(1, {})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SkipstoneError, match="cannot be written: Not a directory"):
        RunFolder(tmp_path / "file" / "x").create(SPEC, {})
