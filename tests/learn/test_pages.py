"""The pages of the lessons: their code runs, their unit is sound, their walk is what the commands print."""

import re
from pathlib import Path

import pytest

from skipstone.learn.unit import NAMES, load
from skipstone.learn.verifying import verify

DOCS = Path(__file__).parents[2] / "docs" / "learn"


def code_of(page):
    return re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_your_own_resnet_runs_and_is_sound():
    (program,) = code_of("index.md")
    exec(compile(program, "index.md", "exec"), {"__name__": "page"})


def test_the_units_listed_are_those_there_are():
    named = re.findall(r"^\| ([a-z]+-\d+) \|", (DOCS / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert named == list(NAMES)


def test_the_unit_that_the_page_shows_is_sound(tmp_path, server):
    (unit,) = code_of("own-units.md")
    (tmp_path / "mine_1.py").write_text(unit)
    found = load(str(tmp_path / "mine_1.py"))
    assert list(verify(found, server.run)) == []
    assert found.file_name == "answer_mine_1.py"


@pytest.mark.slow
def test_the_walk_is_what_is_printed():
    from skipstone.learn.walk import pages

    assert (DOCS / "walk.md").read_text(encoding="utf-8") == pages()["walk.md"]
