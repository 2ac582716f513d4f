"""Run the rules of the table over one recorded network."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from skipstone.checks.codes import BY_CODE, CODES, Code
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding

_ORDER = {"error": 0, "warning": 1, "note": 2}


def findings_of(
    subject: Subject, select: Iterable[str] | None = None, ignore: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """Every finding of the rules asked for, worst first, without repairs."""
    chosen, left_out = set(select) if select is not None else set(BY_CODE), set(ignore)
    wanted = [code for code in CODES if code.code in chosen - left_out]
    return tuple(sorted(_findings(subject, wanted), key=lambda finding: (_ORDER[finding.severity], finding.node)))


def _findings(subject: Subject, codes: Iterable[Code]) -> Iterator[Finding]:
    for code in codes:
        for finding in code.module.check(subject):
            yield replace(finding, code=code.code, rule=code.rule, severity=code.severity)
