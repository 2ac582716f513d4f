"""Names are the user's, or somebody else's: what a terminal would obey in them is written out, wherever they stand."""

import io
import sys

import pytest
import torch
from rich.table import Table
from torch import nn

from skipstone import explain
from skipstone.cli import output, run
from skipstone.programs.saying import say
from skipstone.runs.records import RunSpec

RED, WRITTEN = "\x1b[31m", r"\x1b[31m"


def test_a_console_writes_it_out_in_texts_and_tables(capsys):
    table = Table("name", box=None)
    table.add_row(f"a{RED}")
    output.console().print(f"b{RED}")
    output.table_console().print(table)
    output.note(f"c{RED}")
    out, err = capsys.readouterr()
    assert RED not in out + err
    assert f"b{WRITTEN}\n" in out
    assert f"a{WRITTEN}" in out
    assert err == f"c{WRITTEN}\n"


def test_folders_and_networks_of_runs(tmp_path, capsys):
    broken = tmp_path / f"broken{RED}"
    broken.mkdir()
    (broken / "spec.json").write_text("{")
    assert run(["runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"broken{WRITTEN}" in out
    assert RED not in out


def test_progress_of_runs(monkeypatch):
    from rich.progress import Progress

    from skipstone.cli.progress import progress_bars
    from skipstone.experiments import RunProgress

    told: list[str] = []
    add_task = Progress.add_task
    monkeypatch.setattr(
        Progress, "add_task", lambda self, text, **rest: told.append(text) or add_task(self, text, **rest)
    )
    spec = RunSpec(model="skipstone:plain20", out=f"run{RED}")
    with progress_bars([spec]) as tell:
        tell(RunProgress(0, 1))
    assert told[-1] == f"  run{WRITTEN}"


def test_an_explanation_of_a_class_of_such_a_name():
    net = type(f"Net{RED}", (nn.Linear,), {})(2, 3)
    with pytest.raises(RuntimeError) as caught:
        net(torch.zeros(1, 4))
    text = str(explain(caught.value))
    assert f"skipstone: Net{WRITTEN}, called" in text
    assert RED not in text


@pytest.mark.parametrize("stream", [None, io.StringIO()], ids=["none", "closed"])
def test_where_nobody_hears_it_nothing_is_said_elsewhere(stream, monkeypatch, capsys):
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    say("lost")
    assert capsys.readouterr().out == ""


def test_a_folder_is_no_file_of_networks_and_no_program(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").mkdir()
    assert run(["check", "net.py"]) == 2
    assert capsys.readouterr().err == "skipstone: target 'net.py': net.py is a folder; name a Python file in it\n"
    assert run(["run", "net.py"]) == 2
    assert "'net.py' is a folder without a __main__.py; name the script in it" in capsys.readouterr().err
