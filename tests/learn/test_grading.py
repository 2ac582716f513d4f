"""A class graded: who passed, what was wrong, who handed in nearly the same; a unit's own checker; notebooks."""

import json
import os
import random
import resource
import time

import pytest

from skipstone import cli
from skipstone.learn import grading, judging
from skipstone.learn import notebook as notebook_check
from skipstone.learn.asks import Calls
from skipstone.learn.notebooks import notebook
from skipstone.learn.unit import NAMES, UnitError, load, units
from skipstone.learn.verifying import verify

SHAPES = load("shapes-1")
OWN = "# my way\n" + SHAPES.right["by the formula"].replace(
    "shapes, h = {}, 32", "h = 32\nshapes = dict()\nassert h * h == 1024\nprint('size', h, 'by', h, sep=' ', end='.')"
)


@pytest.fixture
def class_folder(tmp_path):
    for student, source in {
        "ada": SHAPES.solution,
        "ben": SHAPES.starter,
        "cyd": "import os\nos._exit(3)\n",
        "dee": OWN,
        "eve": OWN.replace("h = 32", "h    =    32  # not dee's").replace("size(", "edge("),
    }.items():
        (tmp_path / student).mkdir()
        (tmp_path / student / "shapes_1.py").write_text(source)
    (tmp_path / "fay").mkdir()
    (tmp_path / "ada" / "skipstone-learn.json").write_text('{"units": {"shapes-1": {"hints": 2, "attempts": 5}}}')
    return tmp_path


@pytest.mark.slow
def test_a_class(class_folder, capsys):
    assert cli.run(["learn", "grade", str(class_folder), "--format", "json", "--workers", "1"]) == 0
    rows = {(row["student"], row["unit"]): row for row in json.loads(capsys.readouterr().out)}
    assert len(rows) == 6 * len(NAMES)
    ada, ben, cyd, dee, eve, fay = (rows[name, "shapes-1"] for name in ("ada", "ben", "cyd", "dee", "eve", "fay"))
    assert (ada["passed"], ada["hints"], ada["attempts"], ada["near"]) == (True, 2, 5, "")
    assert ben["message"] == "shapes_1.py:4: conv1 is not filled in yet"
    assert "ended its own process (status 3)" in cyd["message"]
    assert (dee["passed"], eve["passed"]) == (True, True)
    assert (dee["near"], eve["near"]) == ("eve", "dee")
    assert (fay["submitted"], fay["message"]) == (False, "not handed in")


def test_an_answers_process_finds_all_it_imports_imported_already(server):
    """What torch first imports where it is first used was a quarter of a second in every process of a class."""
    source = load("wire-2").solution + (
        "\nimport sys\nbefore = set(sys.modules)\n\n\ndef news():\n"
        "    return [name for name in sys.modules if name not in before]\n"
    )
    asks = (*load("wire-2").asks, Calls("news", ((),)))
    facts = server.run(source.encode(), "wire_2.py", asks)
    assert "graph" in facts.answers[0]
    assert facts.answers[len(asks) - 1]["results"] == [{"value": []}]


def test_who_hands_in_nearly_the_same_is_named_and_what_all_were_given_does_not_count():
    handed_in = {
        ("ada", "shapes-1"): SHAPES.solution.encode(),
        ("bob", "shapes-1"): SHAPES.solution.encode(),
        ("dee", "shapes-1"): OWN.encode(),
        ("eve", "shapes-1"): OWN.replace("h = 32", "height = 32  # mine").replace("size(", "edge(").encode(),
    }
    assert grading._near(handed_in) == {("dee", "shapes-1"): {"eve"}, ("eve", "shapes-1"): {"dee"}}


def test_csv_and_json_hold_the_same():
    row = grading.Row("ada", "shapes-1", True, True, 2, 1, False, None, "")
    assert grading.to_csv([row]).splitlines()[1] == "ada,shapes-1,True,True,2,1,False,,,"
    assert json.loads(grading.to_json([row]))[0]["student"] == "ada"


def test_a_folder_without_students(tmp_path, capsys):
    assert cli.run(["learn", "grade", str(tmp_path)]) == 2
    assert "holds a folder for each student" in capsys.readouterr().err


OWN_UNIT = '''"""A lesson."""
from skipstone.learn.asks import Value
from skipstone.learn.verdict import right, wrong

TITLE = "one number"
STATEMENT = "What is 6 x 7?"
STARTER = "answer = None\\n"
HINTS = ("between 41 and 43",)
SOLUTION = "answer = 42\\n"
ASKS = (Value("answer"),)
WRONG = {"a sum": ("answer = 13\\n", "a product")}


def picture():
    return "6 x 7"


def judge(answers):
    given = answers.value(ASKS[0])
    yield right("42") if given == 42 else wrong("it is a product", answers.line("answer"))
'''


@pytest.fixture
def own(tmp_path):
    def make(text=OWN_UNIT):
        (tmp_path / "mine_1.py").write_text(text)
        return load(str(tmp_path / "mine_1.py"))

    return make


def test_the_checker_of_units_passes_a_sound_one(own, server):
    assert list(verify(own(), server.run)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("answer = None", "answer = 42"), "the starter passes already"),
        (("answer = None", "answer = nothing"), "the starter does not run"),
        (("SOLUTION = \"answer = 42", "SOLUTION = \"answer = 41"), "the solution does not pass"),
        (("answer = 13", "answer = 42"), "the wrong answer 'a sum' passes"),
        (("\"a product\")", "\"a quotient\")"), "expected 'a quotient'"),
        (("(\"between 41 and 43\",)", "()"), "there is no hint"),
    ],
)  # fmt: skip
def test_the_checker_of_units_tells_what_a_broken_one_lacks(own, server, change, said):
    assert change[0] in OWN_UNIT
    assert said in "\n".join(verify(own(OWN_UNIT.replace(*change)), server.run))


def test_a_file_that_is_no_unit(own):
    with pytest.raises(UnitError, match="binds no HINTS"):
        own(OWN_UNIT.replace("HINTS", "TIPS"))


def test_an_answer_in_a_notebook_is_judged_as_one_in_a_file():
    answers = {"shapes": {}}
    exec(SHAPES.solution, answers)
    assert notebook_check.check("shapes-1", answers).passed
    assert notebook_check.check("shapes-1", answers["shapes"]).passed
    verdict = notebook_check.check("shapes-1", {**answers["shapes"], "conv1": (16, 32, 32)})
    assert "the batch is missing" in str(verdict)
    wired = {}
    exec(load("wire-2").solution, wired)
    assert notebook_check.check("wire-2", wired).passed


def test_a_unit_is_a_notebook_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["learn", "notebook", "shapes-1"]) == 0
    cells = json.loads((tmp_path / "shapes_1.ipynb").read_text())["cells"]
    assert "".join(cells[3]["source"]) == SHAPES.starter.rstrip()
    assert cli.run(["learn", "notebook", "shapes-1"]) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_the_notebook_of_a_unit_runs_and_judges(unit):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    book = nbformat.reads(notebook(unit), as_version=4)
    nbclient.NotebookClient(book, timeout=300).execute()
    (result,) = [output for cell in book.cells if "learn.check" in cell.source for output in cell.outputs]
    assert "not yet" in result["data"]["text/plain"]


def _cpu_seconds():
    """Of all processes that have ended, forked answers among them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_a_class_of_200_is_graded_in_time_and_the_same_twice(tmp_path):
    """Every student hands in each unit, right or wrong, with a line of its own so that none is shared.

    Fifteen minutes on two cores are 1,800 s of processor time, which another program beside it does not change.
    """
    draw = random.Random(0)
    for number in range(200):
        folder = tmp_path / f"student{number:03}"
        folder.mkdir()
        for unit in units():
            answers = [unit.solution, *unit.right.values(), *(source for source, _ in unit.wrong.values())]
            (folder / unit.file_name).write_text(f"{draw.choice(answers)}\n# by student {number}\n")
    begun, used = time.monotonic(), _cpu_seconds()
    rows = grading.grade(tmp_path, workers=2)
    seconds, used = time.monotonic() - begun, _cpu_seconds() - used
    num_passed = sum(row.passed for row in rows)
    print(
        f"{len(rows)} graded, {num_passed} passed: {used:.0f} s of processor time, {seconds:.0f} s, {os.getloadavg()}"
    )
    assert not any("could not be judged" in row.message for row in rows)
    again = [judging.judge_file(row.unit, tmp_path / row.student / load(row.unit).file_name) for row in rows[:3]]
    assert [verdict.message for verdict in again] == [row.message for row in rows[:3]]
    assert used < 2 * 15 * 60
