"""What the README and CONTRIBUTING tell a reader to type exists."""

import re
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

from skipstone.cli import COMMANDS, run

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/comparing.md", "docs/design/architecture.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_exists(page):
    named = re.findall(r"(?:^ {4}(?:\.venv/bin/|\$ )?|`|\| `)skipstone ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(named) <= COMMANDS.keys()


def test_the_readme_shows_every_command():
    text = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"skipstone {name}" not in text and name != "demo"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(page):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_import_works(page):
    for module, names in re.findall(r"from (skipstone[\w.]*) import ([\w, ]+)", page.read_text()):
        for name in names.split(","):
            assert hasattr(import_module(module), name.split(" as ")[0].strip())


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"(?:^ {4}|`)make ([a-z]+)", page.read_text(), re.MULTILINE)) <= targets


NET = """from torch import nn


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(c, c, 3, padding=1, bias=False)

    def forward(self, x):
        return x + self.conv2(self.relu(self.conv1(x)))


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 8, 3, padding=1), Block(8))
"""


def test_the_listing_in_the_readme_is_what_show_prints(tmp_path, monkeypatch, capsys):
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    assert run(["show", "net.py:Net", "--input", "3x8x8"]) == 0
    _, _, rest = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("$ skipstone show net.py:Net --input 3x8x8\n")
    )
    listing, _, _ = rest.partition("\nThe same from Python")
    assert textwrap.dedent(listing) == capsys.readouterr().out


def test_every_file_that_contributing_names_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    package, _, _ = text.partition("To run some of the tests")
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py|/)?|tests/[a-z_/.]+|skipstone/__init__.py)`", package)
    assert len(named) > 15
    roots = (ROOT / "src" / "skipstone", ROOT / "src", ROOT)
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_every_module_that_a_page_says_to_run_is_there():
    for page in (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "releasing.md"):
        for module in re.findall(r"python -m (skipstone\.[\w.]+)", page.read_text(encoding="utf-8")):
            assert hasattr(import_module(module), "pages") or hasattr(import_module(module), "page")


def test_the_version_is_told_twice_and_is_one():
    import tomllib

    import skipstone

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == skipstone.__version__
