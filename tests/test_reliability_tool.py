"""The tool that runs the batteries: what it writes, and that the page has its form."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("reliability_tool", ROOT / "tools" / "reliability.py")
tool = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tool)

PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def form(line):
    """A row without its numbers and versions."""
    return re.sub(r"( \| [\d.,+a-z-]+)+ \|$", " | # |", line)


@pytest.mark.parametrize("name", tool.BATTERIES)
def test_the_page_has_the_row_that_the_tool_writes(name):
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| **{name}**:")]
    if rows == [f"| {tool.label(name)} | not yet run | | | | |"]:
        return
    assert [form(row) for row in rows] == [form(tool.row(name, tool.Outcome(1234, ["a fault"])))]
    cells = rows[0].strip("| ").split(" | ")
    assert int(cells[1].replace(",", "")) > 0
    assert cells[2].isdigit()


def test_a_row_takes_the_place_of_the_one_before():
    line = tool.row("sizes", tool.Outcome(12345, ["1 of a", "2 of b"]))
    assert "| 12,345 | 2 |" in line
    assert tool.with_row("| **kills**: x |\n| **sizes**: y |\n", "sizes", line) == f"| **kills**: x |\n{line}\n"
    with pytest.raises(SystemExit, match="0 rows for sizes"):
        tool.with_row("", "sizes", line)


def test_the_head_is_the_tools():
    assert tool.HEAD in PAGE


def test_an_unknown_battery_is_refused(capsys):
    with pytest.raises(SystemExit):
        tool.main(["nope"])
    assert "unknown battery nope, expected commands, " in capsys.readouterr().err
