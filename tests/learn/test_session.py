"""A student's hour from an empty folder, by the commands themselves."""

import subprocess
import sys

import pytest

from skipstone import cli
from skipstone.learn import judging, session
from skipstone.learn.unit import NAMES, load


@pytest.fixture
def desk(tmp_path, monkeypatch, server):
    """An empty folder; answers run in forks of the tests' server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        judging, "judge_file", lambda unit, path: judging.judge_source(unit, path.read_bytes(), server.run)
    )
    return tmp_path


def test_from_an_empty_folder_to_the_first_pass(desk, capsys):
    assert cli.run(["learn", "next"]) == 0
    assert "Your file: shapes_1.py (new)" in capsys.readouterr().out
    assert cli.run(["learn", "check"]) == 1
    assert "shapes_1.py:4: conv1 is not filled in yet" in capsys.readouterr().out
    assert cli.run(["learn", "hint"]) == 0
    assert capsys.readouterr().out.startswith("shapes-1, hint 1 of 3")
    (desk / "shapes_1.py").write_bytes(load("shapes-1").solution.replace("\n", "\r\n").encode("utf-8-sig"))
    assert cli.run(["learn", "check"]) == 0
    assert "passed, 6 of 6 right" in capsys.readouterr().out
    assert cli.run(["learn", "progress"]) == 0
    shown = capsys.readouterr().out
    assert f"1 of {len(NAMES)} passed" in shown
    assert cli.run(["learn", "reset", "shapes-1"]) == 0
    assert (desk / "shapes_1.py").read_text() == load("shapes-1").starter
    assert (desk / "shapes_1.old1").exists()
    assert session.Session(desk).current().name == "wire-2"


def test_the_solution_is_for_who_has_passed_or_gives_up(desk, capsys):
    assert cli.run(["learn", "solution", "1"]) == 2
    assert "--give-up" in capsys.readouterr().err
    assert cli.run(["learn", "solution", "1", "--give-up"]) == 0
    assert capsys.readouterr().out.strip() == load("shapes-1").solution.strip()
    assert session.progress.entry(desk, "shapes-1").solution_seen


def test_a_file_that_is_not_there_and_a_unit_that_is_none(desk, capsys):
    assert cli.run(["learn", "check"]) == 2
    assert "skipstone learn next puts it there" in capsys.readouterr().err
    assert cli.run(["learn", "show", "shape"]) == 2
    assert "unknown unit 'shape'; nearest: shapes-1" in capsys.readouterr().err


def test_what_only_reads_or_writes_text_waits_for_no_torch(tmp_path):
    commands = ("list", "next", "show 2", "hint", "progress", "reset 1", "solution 1 --give-up")
    program = (
        "import sys\nfrom skipstone import cli\n"
        f"for command in {commands}:\n"
        "    assert cli.run(['learn', *command.split()]) == 0, command\n"
        "    assert 'torch' not in sys.modules, command\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_watch_judges_each_save_and_goes_on(desk):
    seen = session.Session(desk).watch()
    unit, verdict = next(seen)
    assert (unit.name, verdict.passed) == ("shapes-1", False)
    (desk / "shapes_1.py").write_text(load("shapes-1").solution)
    assert next(seen)[1].passed
    unit, verdict = next(seen)
    assert (unit.name, verdict.passed) == ("wire-2", False)
    assert (desk / "wire_2.py").exists()


def test_a_drawn_unit_is_another_one_for_each_and_a_seed_gives_its_own(tmp_path, desk, capsys):
    files = []
    for name in ("ada", "bob"):
        (tmp_path / name).mkdir()
        session.Session(tmp_path / name).begin(load("silent-10"))
        files.append((tmp_path / name / "silent_10.py").read_text())
    assert files[0] != files[1]
    assert cli.run(["learn", "reset", "silent-10", "--seed", "7"]) == 0
    assert (desk / "silent_10.py").read_text() == load("silent-10").starter_of(7)
    assert cli.run(["learn", "reset", "wire-2", "--seed", "7"]) == 2
    assert "wire-2 is the same for all: it takes no --seed" in capsys.readouterr().err


def test_the_last_hint_says_so(desk, capsys):
    for _ in range(3):
        assert cli.run(["learn", "hint", "shapes-1"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("That was the last one. A solution: skipstone learn solution shapes-1 --give-up") == 1
    assert shown.rstrip().endswith("--give-up")
