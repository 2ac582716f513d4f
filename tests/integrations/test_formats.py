"""Findings for other programs: JSON reads back, SARIF keeps to its schema, GitHub's commands are one line each."""

import json
from pathlib import Path

import jsonschema
import pytest
from torch import nn

from skipstone.checks import CODES, check
from skipstone.integrations.formats import render


class Faulty(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.a(x) + x


@pytest.fixture(scope="module")
def report():
    return check(Faulty(), (2, 3, 8, 8))


def test_json_holds_findings_skips_and_ledger(report):
    data = json.loads(render(report, "net.py:Faulty", "json"))
    assert (data["schema"], data["version"], data["target"]) == ("skipstone.Report", 1, "net.py:Faulty")
    (finding,) = data["findings"]
    assert finding["code"] == "SK101"
    assert sorted(map(tuple, finding["operands"])) == [(2, 3, 8, 8), (2, 8, 6, 6)]
    assert {branch["label"] for branch in finding["branches"]} == {"branch", "shortcut"}
    assert finding["repairs"][0]["cost"]["num_parameters"] > 0
    assert len(data["skips"]) == 1


def test_sarif_keeps_to_the_schema(report):
    schema = json.loads(Path(__file__).with_name("sarif-2.1.0.schema.json").read_text())
    log = json.loads(render(report, "net.py:Faulty", "sarif"))
    jsonschema.validate(log, schema)
    (result,) = log["runs"][0]["results"]
    assert result["ruleId"] == "SK101"
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [code.code for code in CODES]
    assert rules[result["ruleIndex"]]["id"] == "SK101"


def test_the_schema_test_can_fail(report):
    schema = json.loads(Path(__file__).with_name("sarif-2.1.0.schema.json").read_text())
    log = json.loads(render(report, "net.py:Faulty", "sarif"))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, schema)


def test_github_commands_are_one_line_each(report):
    text = render(report, "net.py:Faulty", "github")
    (line,) = text.splitlines()
    assert line.startswith("::error file=")
    assert "title=SK101 channel-mismatch::" in line
