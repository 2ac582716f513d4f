"""Files, paths and consoles as Windows has them: nothing ends in a traceback, and right answers stay right."""

import csv
import io
import os
import subprocess
import sys

import pytest

from skipstone.learn import grading, progress
from skipstone.learn.gather import source_text, trouble_of
from skipstone.learn.judging import judge_source
from skipstone.learn.unit import load, units
from skipstone.learn.verdict import Verdict, wrong

SHAPES = load("shapes-1")
ACCENTED = f"# les formes, r\u00e9solues \u2013 enfin\n{SHAPES.solution}"
CODED = f"# -*- coding: cp1252 -*-\n{ACCENTED}"
SAVED = {
    "line ends of Windows": SHAPES.solution.replace("\n", "\r\n").encode(),
    "with a byte order mark": ACCENTED.replace("\n", "\r\n").encode("utf-8-sig"),
    "cp1252, by its coding line": CODED.replace("\n", "\r\n").encode("cp1252"),
    "no end of the last line": SHAPES.solution.rstrip("\n").replace("\n", "\r\n").encode(),
}
NOT_READ = {
    "cp1252 in the first line": (ACCENTED.encode("cp1252"), "shapes_1.py:1: your code raises SyntaxError: byte 0xe9"),
    "cp1252 further down": (
        f"{SHAPES.solution}# r\u00e9solu\n".replace("\n", "\r\n").encode("cp1252"),
        "shapes_1.py:9: your code raises SyntaxError: byte 0xe9 is not UTF-8; save the file as UTF-8",
    ),
    "UTF-16, as a shell's > writes": (SHAPES.solution.encode("utf-16"), "the file is saved as UTF-16; save it"),
    "a coding that is none": (b"# coding: cp12525\n" + SHAPES.solution.encode(), "unknown encoding: cp12525"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_a_right_answer_passes_however_it_is_saved(name, server):
    verdict = judge_source(SHAPES, SAVED[name], server.run)
    assert verdict.passed, str(verdict)


@pytest.mark.parametrize("name", NOT_READ)
def test_what_python_can_not_read_is_told_with_its_line_and_what_to_do(name, server):
    source, message = NOT_READ[name]
    verdict = judge_source(SHAPES, source, server.run)
    assert message in verdict.message


def test_a_line_is_the_editors_with_any_line_ends(server):
    source = SHAPES.wrong["no padding"][0].lstrip()
    for saved in (source.encode(), source.replace("\n", "\r\n").encode("utf-8-sig")):
        assert judge_source(SHAPES, saved, server.run).message.startswith("shapes_1.py:2: conv1 is not")


def test_a_text_is_read_as_python_reads_it():
    for source in SAVED.values():
        assert "(64, 16, 32, 32)" in source_text(source, "shapes_1.py")


@pytest.mark.parametrize("typed", [r".\wire_2.py", r"C:\Users\Jos\u00e9 N\wire_2.py", "wire_2.PY", "WIRE-2"])
def test_a_unit_is_found_by_a_path_of_windows(typed):
    assert load(typed).name == "wire-2"


def test_what_was_raised_at_a_path_of_windows_has_its_line_and_not_its_folder():
    path = "C:\\Users\\Jos\u00e9 N\\AppData\\Local\\Temp\\work\\shapes_1.py"
    with pytest.raises(ZeroDivisionError) as caught:
        exec(compile("a = 1\nb = a / 0\n", path, "exec"), {})
    assert trouble_of(caught.value, path) == {"error": "ZeroDivisionError", "message": "division by zero", "line": 2}


def test_a_table_of_a_class_keeps_names_of_windows():
    row = grading.Row(
        "Jos\u00e9, \\\\school\\b", "wire-2", False, True, 1, 0, False, None, 'wire_2.py:3: "C:\\new" is\u2026'
    )
    text = grading.to_csv([row])
    (read,) = csv.DictReader(io.StringIO(text.encode("cp1252").decode("cp1252")))
    assert (read["student"], read["message"]) == (row.student, row.message)


def test_a_progress_file_that_an_editor_saved_is_still_one(tmp_path):
    progress.attempted(tmp_path, "wire-2", True, "")
    file = tmp_path / progress.FILE
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n").join([b"\xef\xbb\xbf", b""]))
    assert progress.entry(tmp_path, "wire-2").passed
    progress.attempted(tmp_path, "shapes-1", False, "r\u00e9")
    assert progress.entry(tmp_path, "shapes-1").message == "r\u00e9"


def test_what_a_students_code_prints_is_shown_and_not_obeyed():
    verdict = Verdict("shapes-1", "shapes_1.py", (wrong("\x1b[31m\nmore"),), printed="\x1b[2J\r\ndone\x07\n")
    assert "\x1b" not in str(verdict) + verdict.message
    assert "  | \\x1b[2J\n  | done\\x07" in str(verdict)


TEXTS = ("list", "next", "hint", "progress", "notebook 2", "reset 1", "solution 1 --give-up")


@pytest.mark.parametrize("encoding", ["cp1252", *(pytest.param(e, marks=pytest.mark.slow) for e in ("cp437", "ascii"))])
def test_every_page_is_shown_on_a_console_of_windows(tmp_path, encoding):
    commands = [*TEXTS, *(f"show {unit.name}" for unit in units()), *["quiz --sheet"] * (encoding == "ascii")]
    program = (
        "import sys\nfrom skipstone import cli\nfrom skipstone.cli import terminal\n\nterminal.prepare()\n"
        f"for command in {commands}:\n    assert cli.run(['learn', *command.split()]) == 0, command\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    shown = done.stdout.decode(encoding)
    assert done.stderr == b""
    assert "\\u" not in shown
    if encoding != "cp437":  # which has lines to draw with
        assert "+- input0" in shown
        assert "+> add" in shown


WITHOUT_POSIX = """
import fcntl, os, subprocess, sys, types
msvcrt = types.ModuleType("msvcrt")
flock, held = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB
msvcrt.LK_NBLCK, msvcrt.locking = 2, lambda file, mode, size: flock(file, held)
sys.modules.update(msvcrt=msvcrt, resource=None, fcntl=None)
for name in ("fork", "setsid", "killpg", "getpgid"):
    delattr(os, name)
"""


@pytest.fixture
def without_posix(tmp_path, monkeypatch):
    """A folder in which commands, and the processes they start, run without what POSIX systems alone have."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(WITHOUT_POSIX)
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)]))
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "skipstone", "learn", *arguments], capture_output=True, check=False
        )

    return tmp_path / "desk", run


def test_an_endless_loop_is_ended_at_its_line_where_the_system_limits_nothing(without_posix):
    program = (
        "from skipstone.learn import walls\n\n\ndef when_up(frame):\n    print('at', frame.f_lineno, flush=True)\n\n\n"
        "walls.limit(seconds=0.2, memory=0, file_size=0, processes=0, when_up=when_up)\nwhile True:\n    pass\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)
    assert done.stdout in (b"at 9\n", b"at 10\n")
    assert done.returncode == 1


@pytest.mark.slow
def test_the_first_unit_without_what_posix_systems_alone_have(without_posix):
    desk, run = without_posix
    assert run("next").returncode == 0
    begun = run("check")
    assert (begun.returncode, begun.stderr) == (1, b"")
    (desk / "shapes_1.py").write_text("while True:\n    pass\n")
    assert b"shapes_1.py:1: your code was still running" in run("check").stdout.replace(b"py:2", b"py:1")
    (desk / "shapes_1.py").write_bytes(SAVED["with a byte order mark"] + "print('╭ \u00e9 \x1b[2J')\r\n".encode())
    done = run("check")
    assert done.returncode == 0
    shown = done.stdout.decode("cp1252")
    assert "passed, 6 of 6 right" in shown
    assert "  | + \u00e9 \\x1b[2J" in shown
    (desk / "class" / "Jos\u00e9").mkdir(parents=True)
    (desk / "class" / "Jos\u00e9" / "shapes_1.py").write_bytes(SAVED["line ends of Windows"])
    graded = run("grade", "class", "--workers", "1")
    assert graded.returncode == 0
    rows = list(csv.DictReader(io.StringIO(graded.stdout.decode("cp1252"))))
    assert (rows[0]["student"], rows[0]["passed"]) == ("Jos\u00e9", "True")
