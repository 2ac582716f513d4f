"""Check a network: record it, find its skips, run every rule, propose and verify repairs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import nn

from skipstone.checks.codes import CODES, Code
from skipstone.checks.repair import with_repairs
from skipstone.checks.report import Report
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding

_ORDER = {"error": 0, "warning": 1, "note": 2}


def check(
    model: nn.Module,
    example: object,
    *,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
    repairs: bool = True,
) -> Report:
    """Find what is wrong with a network's skip connections.

    Args:
        model: any module, in the mode it is to be used in. It is not run and stays as it was.
        example: a shape with the batch axis `(2, 3, 32, 32)`, a tensor, a tuple of them, or a dict of arguments.
        select: codes to look for (default: all); `ignore`: codes to leave out.
        repairs: propose repairs, each verified on a copy.

    Raises:
        ExampleError: an example of no known form.
    """
    subject = Subject.of(model, example)
    wanted = [code for code in CODES if (select is None or code.code in set(select)) and code.code not in set(ignore)]
    findings = sorted(_findings(subject, wanted), key=lambda finding: (_ORDER[finding.severity], finding.node))
    if repairs:
        findings = [with_repairs(subject, finding) for finding in findings]
    return Report(tuple(findings), subject.skips, subject.graph)


def _findings(subject: Subject, codes: Iterable[Code]) -> Iterator[Finding]:
    for code in codes:
        for finding in code.module.check(subject):
            yield replace(finding, code=code.code, rule=code.rule, severity=code.severity)
