"""Findings for other programs: JSON, SARIF 2.1.0, GitHub workflow commands."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skipstone import __version__
from skipstone.checks import CODES, Report
from skipstone.checks.codes import MODULE_OF
from skipstone.core.codec import encode
from skipstone.core.finding import Finding

_VERSION = 1
_LEVELS = {"error": "error", "warning": "warning", "note": "note"}


def render(report: Report, target: str, style: str) -> str:
    """The report in one of `STYLES`."""
    return STYLES[style](report, target)


def to_json(report: Report, target: str) -> str:
    """One JSON object: the target, the skips, the findings with their ledgers and repairs."""
    body = {
        "schema": "skipstone.Report",
        "version": _VERSION,
        "target": target,
        "skips": [encode(skip) for skip in report.skips],
        "findings": [_finding(finding) for finding in report.findings],
        "assumptions": [encode(assumption) for assumption in report.graph.assumptions],
        "stopped": encode(report.graph.stopped) if report.graph.stopped else None,
    }
    return json.dumps(body, indent=1)


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
    from dataclasses import replace

    return replace(finding, repairs=())


def to_github(report: Report, target: str) -> str:
    """Workflow commands that GitHub shows beside the lines."""
    kinds = {"error": "error", "warning": "warning", "note": "notice"}
    return "\n".join(
        f"::{kinds[f.severity]} {_location(f)}title={f.code} {f.rule}::{_escaped(f'{f.message} [{target}]')}"
        for f in report.findings
    )


def _location(finding: Finding) -> str:
    if finding.place is None:
        return ""
    column = finding.place.column + 1
    return f"file={_relative(finding.place.file)},line={finding.place.line},col={column},"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def to_sarif(report: Report, target: str) -> str:
    """A SARIF 2.1.0 log with one run."""
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
    notifications = [{"level": "error", "message": {"text": report.partial}}] if report.partial else []
    run = {
        "tool": {"driver": driver},
        "results": [_result(finding, [code.code for code in CODES]) for finding in report.findings],
        "invocations": [{"executionSuccessful": report.partial is None, "toolExecutionNotifications": notifications}],
        "properties": {"target": target},
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1)


def _result(finding: Finding, codes: Sequence[str]) -> Mapping[str, Any]:
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
    }


def _relative(file: str) -> str:
    """Below the working folder as a relative path, elsewhere as it is."""
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


def _uri(file: str) -> str:
    relative = _relative(file)
    return Path(relative).as_posix() if not os.path.isabs(relative) else Path(relative).as_uri()


def to_text(report: Report, target: str) -> str:
    return str(report)


STYLES = {"text": to_text, "json": to_json, "sarif": to_sarif, "github": to_github}
