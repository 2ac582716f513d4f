"""A run of the zoo goes on where the last one stopped, outlives what dies or hangs, and fails on a wrong count."""

import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from zoo.measure import Row, attempt
from zoo.network import Family, Network, image
from zoo.truth import runs, truth

from zoo import __main__ as program
from zoo import page, runner


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x).relu()


def chain() -> nn.Module:
    return nn.Sequential(Block(), Block())


def family(adds: int = 1, *names: str, **differs: str) -> Family:
    networks = tuple(Network(name, chain, image(2, 3, 8, 8)) for name in names or ("one", "two", "three"))
    return Family("torch", networks, {"": {"Block": adds}}, differs)


# In place of the worker: a line for each network named, but for one that dies and one that hangs.
WORKER = """
import os, sys, time, pathlib
for name in sys.argv[1:]:
    with open({log!r}, "a") as log: log.write(name + " ")
    if name == "torch:dies": os._exit(9)
    if name == "torch:hangs": time.sleep(60)
    print({row!r}.replace("NAME", name), flush=True)
"""


@pytest.fixture
def run(tmp_path):
    """Run a family's networks by the worker above: what it said, and which networks were begun."""
    log = tmp_path / "begun"

    def go(*names: str) -> list[str]:
        log.write_text("")
        row = Row(name="NAME", version="1", truth=3, found=3, found_in_training=3).to_json().replace("\n", " ")
        command = (sys.executable, "-S", "-c", WORKER.format(log=str(log), row=row))
        wanted = runner.tasks([family(1, *names)])
        runner.run(wanted, tmp_path / "results", jobs=1, limit=2, say=lambda text: None, command=command)
        return log.read_text().split()

    return go


def test_goes_on_where_it_stopped(run, tmp_path):
    assert run("one", "two") == ["torch:one", "torch:two"]
    assert run("one", "two", "three") == ["torch:three"]
    (tmp_path / "results" / "torch-two.json").write_text("half of a fi")
    assert run("one", "two", "three") == ["torch:two"]


def test_results_of_other_code_are_measured_again(run, monkeypatch):
    run("one")
    monkeypatch.setattr(runner, "stamp", lambda family: "another")
    assert run("one") == ["torch:one"]


def test_the_page_says_which_code_measured_how_many_rows(tmp_path):
    tasks = runner.tasks([family(1, "one", "two", "three", "four")])
    row = Row(name="torch:one", version="1")
    for task, made in zip(tasks, ("a1 1234567", "b2 1234567", "a1"), strict=False):
        runner.write(task, tmp_path, row, made)
    said = page.states(tasks, tmp_path)
    assert said == "Of the 3 rows were measured: 2 with commit `1234567`, 1 with earlier code."
    assert runner.read(tasks[0], tmp_path, "a1") == row
    assert runner.read(tasks[1], tmp_path, "a1") is None


def test_what_dies_or_hangs_costs_its_own_row_alone(run, tmp_path):
    names = ("one", "dies", "two", "hangs", "three")
    assert run(*names) == [f"torch:{name}" for name in names]
    rows = page.rows(runner.tasks([family(1, *names)]), tmp_path / "results")
    failures = {name: row.failure for name, row in rows.items() if row.failure}
    assert failures == {"torch:dies": "the process died", "torch:hangs": "not done in 2 s"}
    assert run(*names) == ["torch:dies", "torch:hangs"]  # and is tried again


def test_truth_counts_runs_of_classes_and_nothing_else():
    block = Block()
    model = nn.Sequential(block, Block(), block)
    assert sorted(runs(model, image(2, 3, 8, 8)()).values()) == [1, 1, 1, 2, 2]
    assert truth(model, image(2, 3, 8, 8)(), {"": {"Block": 2}}) == (6, "3 Block x 2")
    assert truth(model, image(2, 3, 8, 8)(), {"elsewhere": {}}) is None


def test_a_network_is_counted_checked_ablated_and_sized():
    known = family()
    row = attempt(known, known.networks[0], sample=True)
    assert (row.truth, row.found, row.found_in_training, row.ablated) == (2, 2, 2, "2 of 2")
    assert row.sizes == "9 of 9 run"
    assert row.inputs == "2x3x8x8"
    assert row.problems() == []


def test_a_planted_wrong_truth_fails_the_run(tmp_path, monkeypatch, capsys):
    def status(planted: Family) -> int:
        task = runner.tasks([planted])[0]
        runner.write(task, tmp_path, attempt(planted, task.network, sample=False), "made")
        monkeypatch.setattr(program, "families", lambda: (planted,))
        return program.main(["one", "--page", "--results", str(tmp_path)])

    assert status(family(1)) == 0
    assert status(family(2)) == 1
    assert "torch:one: 2 found where the classes say 4 (2 Block x 2)" in capsys.readouterr().out
    assert status(family(2, one="planted, and said so in the table")) == 0


def test_every_problem_is_named():
    row = Row(name="torch:one", version="1", truth=3, found=3, found_in_training=3, errors=("SK102 no",), notes=2)
    assert row.problems() == ["error SK102 no"]
    row = replace(row, errors=(), found_in_training=2, warnings=("SK2",), stopped="at x", ablated="! 1 of 3 left")
    said = "; ".join(row.problems())
    assert all(words in said for words in ("2 found in training", "SK2", "at x", "1 of 3 left"))
    assert replace(row, failure="died").problems() == ["died"]


def test_the_page_holds_the_rows_and_the_explanations():
    known = family(1, "one", "two", one="the network says so in its paper")
    wanted = runner.tasks([known])
    one = Row(name="torch:one", version="1", truth=4, counted="4 Block", found=3, found_in_training=3, seconds=0.5)
    two = Row(name="torch:two", version="1", truth=3, found=3, found_in_training=3, ablated="3 of 3", seconds=0.1)
    text = page.text(wanted, {"torch:one": one, "torch:two": two}, "All with commit `1234567`.")
    assert "the truth is known for 2 and found, in evaluation and in training, on 1 (50.0 %)" in text
    assert "All with commit `1234567`." in text
    assert "| torch | 2 | 2 | 1 | 0 | 0.30 |" in text
    assert "- `torch:one`: 3 found where the classes say 4 (4 Block). The network says so in its paper." in text
    assert page.unexplained(wanted, {"torch:one": one}) == ["torch:two: no result"]
    warned = {"torch:one": replace(two, name="torch:one", warnings=("SK4 unused",)), "torch:two": two}
    assert "1 a false warning; 0 have a right one" in page.text(wanted, warned, "")
    plain = replace(known, differs={})
    assert page.unexplained(runner.tasks([plain]), warned) == ["torch:one: warning SK4 unused"]
    right = runner.tasks([replace(plain, rightly={"one": "its last layer is never called"})])
    assert page.unexplained(right, warned) == []
    assert "0 a false warning; 1 have a right one" in page.text(right, warned, "")
    assert "- `torch:one`: warning SK4 unused. Its last layer is never called." in page.text(right, warned, "")
    assert torch.__version__.partition("+")[0] in text
