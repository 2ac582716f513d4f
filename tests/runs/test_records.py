"""Of a run folder one epoch may be read: the one whose weights were tested. No torch."""

from dataclasses import replace

import pytest

from skipstone.runs.folder import RunFolder
from skipstone.runs.records import EpochRecord, RunResult, RunSpec, read_run

RESULT = RunResult(0.9, 0.3, 0.95, 2, 0.94, None, 0.01, True, 1000, 3, 12.5)


@pytest.mark.parametrize(
    ("result", "tested"),
    [
        (replace(RESULT, stopped="patience", tested_epoch=2), 2),
        (replace(RESULT, tested_epoch=3), 3),
        (RESULT, 3),
        (None, 3),
    ],
    ids=["stopped early", "to its end", "of an earlier version", "unfinished"],
)
def test_the_epoch_whose_weights_were_tested(tmp_path, result, tested):
    folder = RunFolder(tmp_path / "run")
    folder.create(RunSpec(model="skipstone:plain8", epochs=3), {})
    for number in (1, 2, 3):
        folder.append(EpochRecord(number, 1.0, 0.5, 1.0, 0.75, 0.1, 0.0, 1.0, 2.0), [])
        folder.keep(b"x")
    if result is not None:
        folder.finish(result)
    folder.release()
    assert [epoch.epoch for epoch in read_run(folder.path, epochs="tested").epochs] == [tested]
    assert [epoch.epoch for epoch in read_run(folder.path).epochs] == [1, 2, 3]
