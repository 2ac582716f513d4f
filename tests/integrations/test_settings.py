"""Settings of pyproject.toml: found from any folder below, each value of a wrong kind told with its file and key."""

import json

import jsonschema
import pytest

from skipstone.cli import run
from skipstone.integrations.settings import SettingsError, load_settings

NET = """from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return x + self.a(x)


class Bad(Net):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3)
"""
TWO = """[tool.skipstone]
ignore = ["SK3"]

[[tool.skipstone.check]]
target = "net.py:Net"
inputs = ["3x8x8"]

[[tool.skipstone.check]]
target = "net.py:Bad"
inputs = ["3x8x8"]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "pyproject.toml").write_text(TWO)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_several_targets_are_one_json_document(folder, capsys):
    assert run(["check", "--format", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["schema"], data["version"]) == ("skipstone.Reports", 1)
    assert [(report["target"], len(report["findings"])) for report in data["reports"]] == [
        ("net.py:Net", 0),
        ("net.py:Bad", 1),
    ]


def test_several_targets_are_one_sarif_run_that_keeps_to_the_schema(folder, capsys, sarif_schema):
    assert run(["check", "--format", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    jsonschema.validate(log, sarif_schema)
    (ran,) = log["runs"]
    assert ran["properties"]["targets"] == ["net.py:Net", "net.py:Bad"]
    assert [result["properties"]["target"] for result in ran["results"]] == ["net.py:Bad"]


@pytest.mark.parametrize("target", ["net.py:Bad", "net:Bad"])
def test_targets_are_found_from_below_as_settings_are(folder, monkeypatch, capsys, target):
    below = folder / "sub" / "deeper"
    below.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(TWO.replace("net.py:Bad", target))
    monkeypatch.chdir(below)
    assert run(["check"]) == 1
    out = capsys.readouterr().out
    assert "net.py:Net\n" in out
    assert "SK102" in out


def test_a_project_file_without_settings_does_not_hide_those_above(folder, monkeypatch):
    inner = folder / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text('[project]\nname = "inner"\n')
    assert len(load_settings(inner).jobs) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tool = 3", r"tool is 3; it must be a table"),
        ("[tool]\nskipstone = 3", r"\[tool.skipstone\] is 3; it must be a table"),
        ("[tool.skipstone]\nselect = 3", r"select is 3; it must be a list of texts"),
        ("[tool.skipstone]\nselect = [3]", r"select is \[3\]; it must be a list of texts"),
        ("[tool.skipstone]\nbaseline = 3", r"baseline is 3; it must be a text"),
        ("[tool.skipstone]\ncheck = [3]", r"\[\[tool.skipstone.check\]\] is 3; it must be a table"),
        ("[tool.skipstone]\ncheck = 'net.py'", r"check is 'net.py'; it must be tables, each under \[\[tool"),
        ("[[tool.skipstone.check]]\ntarget = 3", r"target is 3; it must be a text"),
        ("[[tool.skipstone.check]]\ntarget = 'a'\ninputs = [3]", r"inputs is \[3\]; it must be a list of texts"),
        ("[[tool.skipstone.check]]\ntarget = 'a'\ninputs = ['3']\nmode = 'both'", r"mode is 'both'"),
        ("[[tool.skipstone.check]]\ninputs = ['3x8']", "needs a target"),
        ("[tool.skipstone]\nignored = []", "unknown key 'ignored'; known: select, ignore, baseline"),
        ("[tool.skipstone", "is no TOML"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(tmp_path, text, words):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SettingsError, match=words):
        load_settings(tmp_path)


def test_a_project_file_that_is_not_utf8(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(SettingsError, match=r"pyproject.toml is not UTF-8, which TOML must be: byte 5"):
        load_settings(tmp_path)
