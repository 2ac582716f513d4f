"""The tool that runs the tests in other environments: what it reads from pytest, and what it writes."""

import importlib.util
import re
from pathlib import Path

import pytest

from skipstone.tracing.torch_internals import TESTED

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("versions_tool", ROOT / "tools" / "versions.py")
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)

PAGE = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("3215 passed, 2 skipped in 1561.18s (0:26:01)", (3215, 0)),
        ("8 failed, 3207 passed, 2 skipped in 1561.18s", (3207, 8)),
        ("1 failed, 1 passed, 3 errors in 2.03s", (1, 4)),
        ("1 error in 7.79s", (0, 1)),
        ("no tests ran in 3.90s", (0, 0)),
    ],
)
def test_counts_of_a_run(line, expected):
    assert tool.counts(line) == expected


def test_a_row_takes_the_place_of_the_one_before():
    page = "| a | 1 |\n| b | 2 |\n"
    assert tool.with_row(page, "b", ["3", r"\1"]) == "| a | 1 |\n| b | 3 | \\1 |\n"
    with pytest.raises(SystemExit, match="0 rows for c"):
        tool.with_row(page, "c", [])


def test_the_page_has_a_row_for_each_pair_and_the_tool_s_columns():
    assert tool.HEAD in PAGE
    for pair in tool.PAIRS:
        assert len(re.findall(rf"^\| {pair.name} \|", PAGE, re.MULTILINE)) == 1


def test_a_pair_wants_its_own_python(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = tool.Pair("oldest", "2.1", {})
    with pytest.raises(SystemExit, match=r"Python 2\.1: none on the path or in pyenv; name one by PYTHON_OLDEST"):
        tool.interpreter(missing)


def test_what_is_claimed_is_what_the_pairs_run():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest, newest = tool.PAIRS[0], tool.PAIRS[-1]
    major, minor = TESTED[0]
    assert oldest.pins["torch"].startswith(f"{major}.{minor}.")
    assert newest.pins["torch"].startswith(f"{TESTED[1][0]}.{TESTED[1][1]}.")
    assert f'"torch>={major}.{minor}"' in project
    assert f'"numpy>={oldest.pins["numpy"].rpartition(".")[0]}"' in project
    assert f'requires-python = ">={oldest.python}"' in project
    pythons = set(re.findall(r"Python :: (3\.\d+)", project))
    assert pythons == {pair.python for pair in tool.PAIRS}
