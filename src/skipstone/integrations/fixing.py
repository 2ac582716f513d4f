"""Repairs written into the source: one at a time, the network built and checked anew after each."""

import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from skipstone.checks import Report
from skipstone.checks.repair import Repair
from skipstone.core.finding import Finding

_MAX_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Fixed:
    """One repair written: the finding it mends, its title, the files it changed."""

    code: str
    module: str
    title: str
    files: tuple[str, ...]


def certain(finding: Finding) -> Repair | None:
    """The finding's first repair that resolves to certain call sites in the source."""
    for repair in finding.repairs:
        if isinstance(repair, Repair) and repair.diff() is not None:
            return repair
    return None


def diffs(report: Report) -> Iterator[str]:
    """The unified diff of each finding's first certain repair, each text once."""
    seen = set()
    for finding in report.findings:
        repair = certain(finding)
        text = repair.diff() if repair is not None else None
        if text is not None and text not in seen:
            seen.add(text)
            yield text


def suggestions(report: Report) -> Iterator[tuple[Finding, str]]:
    """The findings that have a repair but none with a certain place in the source, and what to do by hand."""
    for finding in report.findings:
        if finding.repairs and certain(finding) is None:
            yield finding, finding.repairs[0].suggestion


def fix(check_again: Callable[[], Report]) -> Iterator[Fixed]:
    """Write certain repairs until none is left; `check_again` builds the network from its source and checks it."""
    for _ in range(_MAX_ROUNDS):
        linecache.checkcache()
        found = next(((f, r) for f in check_again().findings if (r := certain(f)) is not None), None)
        if found is None:
            return
        finding, repair = found
        texts = repair.new_sources()
        for path, text in texts.items():
            Path(path).write_text(text, encoding="utf-8")
        yield Fixed(finding.code, finding.module, repair.title, tuple(texts))
