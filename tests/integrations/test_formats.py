"""Findings for other programs: JSON reads back, SARIF keeps to its schema, GitHub's commands are one line each."""

import json
from dataclasses import replace

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


def test_sarif_keeps_to_the_schema(report, sarif_schema):
    log = json.loads(render(report, "net.py:Faulty", "sarif"))
    jsonschema.validate(log, sarif_schema)
    (result,) = log["runs"][0]["results"]
    assert result["ruleId"] == "SK101"
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [code.code for code in CODES]
    assert rules[result["ruleIndex"]]["id"] == "SK101"


def test_the_schema_test_can_fail(report, sarif_schema):
    log = json.loads(render(report, "net.py:Faulty", "sarif"))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, sarif_schema)


def test_github_commands_are_one_line_each(report):
    text = render(report, "net.py:Faulty", "github")
    (line,) = text.splitlines()
    assert line.startswith("::error file=")
    assert "title=SK101 channel-mismatch::" in line


@pytest.fixture
def awkward(report):
    """The report of a network in a file whose name and message hold what the formats give a meaning to."""
    (finding,) = report.findings
    place = replace(finding.place, file="a b,c:d%e#é.py")
    return replace(report, findings=(replace(finding, place=place, message="50 % of\nlines: a, b"),))


def test_github_properties_and_text_are_escaped_as_the_runner_reads_them(awkward):
    (line,) = render(awkward, "net.py:Faulty", "github").splitlines()
    command, _, text = line.removeprefix("::").partition("::")
    properties = dict(part.split("=", 1) for part in command.removeprefix("error ").split(","))
    assert properties["file"] == "a b%2Cc%3Ad%25e#é.py"
    assert properties["title"] == "SK101 channel-mismatch"
    assert text == "50 %25 of%0Alines: a, b [net.py:Faulty]"


def test_sarif_addresses_are_percent_encoded(awkward, sarif_schema):
    log = json.loads(render(awkward, "net.py:Faulty", "sarif"))
    jsonschema.validate(log, sarif_schema)
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "a%20b%2Cc%3Ad%25e%23%C3%A9.py"
