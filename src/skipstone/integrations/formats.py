"""Findings for other programs: JSON, SARIF 2.1.0, GitHub workflow commands. One document, however many networks."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from skipstone import __version__
from skipstone.checks import CODES, Report
from skipstone.checks.codes import MODULE_OF
from skipstone.core.codec import encode
from skipstone.core.finding import Finding

_VERSION = 1
_LEVELS = {"error": "error", "warning": "warning", "note": "note"}


Checked = Sequence[tuple[str, Report]]
"""Each target, as typed, with its report."""


def render(report: Report, target: str, style: str) -> str:
    """One report in one of `STYLES`."""
    return render_all(((target, report),), style)


def render_all(checked: Checked, style: str) -> str:
    """Several reports as one document in one of `STYLES`."""
    return STYLES[style](checked)


def to_json(checked: Checked) -> str:
    """One JSON object: of one target its report, of several an object whose `reports` holds a report each."""
    reports = [_report(target, report) for target, report in checked]
    several = {"schema": "skipstone.Reports", "version": _VERSION, "reports": reports}
    return json.dumps(reports[0] if len(reports) == 1 else several, indent=1)


def _report(target: str, report: Report) -> Mapping[str, Any]:
    """The target, the skips, the findings with their ledgers and repairs."""
    return {
        "schema": "skipstone.Report",
        "version": _VERSION,
        "target": target,
        "skips": [encode(skip) for skip in report.skips],
        "findings": [_finding(finding) for finding in report.findings],
        "run": report.ran or None,
        "assumptions": [encode(assumption) for assumption in report.graph.assumptions],
        "stopped": encode(report.graph.stopped) if report.graph.stopped else None,
        "remarks": list(report.remarks),
    }


def _finding(finding: Finding) -> Mapping[str, Any]:
    row = encode(_without(finding))
    repairs = [
        {
            "title": repair.title,
            "effect": repair.effect,
            "cost": encode(repair.cost),
            "suggestion": repair.suggestion,
            "keeps_output": repair.keeps_output,
        }
        for repair in finding.repairs
    ]
    return {**row, "repairs": repairs}


def _without(finding: Finding) -> Finding:
    """Edits hold live objects and are no part of the record."""
    return replace(finding, repairs=())


def to_github(checked: Checked) -> str:
    """Workflow commands that GitHub shows beside the lines; a record that stopped is one of them."""
    lines = []
    for target, report in checked:
        lines += [_command(finding, target) for finding in report.findings]
        if report.partial:
            lines.append(f"::error title=skipstone::{_data(f'{report.partial} [{target}]')}")
        lines += [f"::warning title=skipstone::{_data(f'{remark} [{target}]')}" for remark in report.remarks]
    return "\n".join(lines)


def _command(finding: Finding, target: str) -> str:
    kinds = {"error": "error", "warning": "warning", "note": "notice"}
    properties = {"title": f"{finding.code} {finding.rule}"}
    if finding.place is not None:
        place = {"file": _relative(finding.place.file), "line": finding.place.line, "col": finding.place.column + 1}
        properties = {**{name: str(value) for name, value in place.items()}, **properties}
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{kinds[finding.severity]} {given}::{_data(f'{finding.message} [{target}]')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def to_sarif(checked: Checked) -> str:
    """A SARIF 2.1.0 log with one run: uploads of several runs of one tool are refused. Results name their target."""
    rules = [
        {
            "id": code.code,
            "name": "".join(part.capitalize() for part in code.name.split("-")),
            "shortDescription": {"text": code.summary},
            "fullDescription": {"text": (MODULE_OF[code].__doc__ or code.summary).strip()},
            "defaultConfiguration": {"level": _LEVELS[code.severity]},
        }
        for code in CODES
    ]
    driver = {
        "name": "skipstone",
        "semanticVersion": __version__.replace(".dev", "-dev"),
        "rules": rules,
    }
    stopped = [f"{target}: {report.partial}" for target, report in checked if report.partial]
    remarks = [f"{target}: {remark}" for target, report in checked for remark in report.remarks]
    notifications = [
        {"level": level, "message": {"text": text}}
        for level, texts in (("error", stopped), ("warning", remarks))
        for text in texts
    ]
    codes = [code.code for code in CODES]
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding, codes, target) for target, report in checked for finding in report.findings],
        "invocations": [{"executionSuccessful": not stopped, "toolExecutionNotifications": notifications}],
        "properties": {"targets": [target for target, _ in checked]},
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1)


def _result(finding: Finding, codes: Sequence[str], target: str) -> Mapping[str, Any]:
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.module or "forward", "kind": "member"}]
    }
    if finding.place is not None:
        location["physicalLocation"] = {
            "artifactLocation": {"uri": _uri(finding.place.file)},
            "region": {
                "startLine": finding.place.line,
                "startColumn": finding.place.column + 1,
                "endLine": finding.place.end_line,
                "endColumn": finding.place.end_column + 1,
            },
        }
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [location],
        "properties": {"target": target},
    }


def _relative(file: str) -> str:
    """Below the working folder as a relative path, elsewhere as it is."""
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def _uri(file: str) -> str:
    """The address of a file, relative where it is; a name's bytes beyond letters, digits and a few signs as %XX."""
    relative = _relative(file)
    if os.path.isabs(relative):
        return Path(relative).as_uri()
    return quote(os.fsencode(Path(relative).as_posix()))


STYLES = {"json": to_json, "sarif": to_sarif, "github": to_github}
