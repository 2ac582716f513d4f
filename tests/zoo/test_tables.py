"""The tables of the zoo have the form that its program and its page rely on."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest
from zoo.network import Family
from zoo.runner import tasks

from zoo import families as tables

FAMILIES = tables.families()
ROOT = Path(__file__).parents[2]


def test_a_file_a_package():
    folder = Path(tables.__file__).parent
    assert sorted(tables.NAMES) == sorted(file.stem for file in folder.glob("[a-z]*.py"))
    assert [family.package.replace("-", "_") for family in FAMILIES] == list(tables.NAMES)


def test_every_network_has_a_name_of_its_own():
    names = Counter(task.name for task in tasks(FAMILIES))
    assert [name for name, times in names.items() if times > 1] == []
    files = Counter(task.file(Path()).name for task in tasks(FAMILIES))
    assert max(files.values()) == 1


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.package)
def test_form(family: Family):
    assert family.networks
    for table in family.adds.values():
        for name, rule in table.items():
            assert name.isidentifier()
            assert callable(rule) or (isinstance(rule, int) and rule >= 0)
    for name, why in (*family.differs.items(), *family.rightly.items()):
        assert name in {network.name for network in family.networks}
        assert len(why) > 20
        assert not why.endswith(".")


def test_make_zoo_installs_each_package():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = " ".join(tomllib.loads(text)["dependency-groups"]["zoo"]) + (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [family.package for family in FAMILIES if family.package not in wanted] == []
