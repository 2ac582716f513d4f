"""Run the rules of the table over one recorded network."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from skipstone.checks.codes import BY_CODE, MODULES
from skipstone.checks.rule import Fault, Rule, RuleModule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding

_ORDER = {"error": 0, "warning": 1, "note": 2}


def findings_of(
    subject: Subject, select: Iterable[str] | None = None, ignore: Iterable[str] = ()
) -> tuple[Finding, ...]:
    """Every finding of the rules asked for, worst first, without repairs."""
    chosen, left_out = set(select) if select is not None else set(BY_CODE), set(ignore)
    wanted = [module for module in MODULES if module.RULE.code in chosen - left_out]
    return tuple(sorted(_findings(subject, wanted), key=lambda finding: (_ORDER[finding.severity], finding.node)))


def _findings(subject: Subject, modules: Iterable[RuleModule]) -> Iterator[Finding]:
    for module in modules:
        rule = module.RULE
        for fault in module.check(subject):
            if isinstance(fault, Fault):
                yield _finding(rule, fault)
            else:
                yield replace(fault, code=rule.code, rule=rule.name, severity=rule.severity)


def _finding(rule: Rule, fault: Fault) -> Finding:
    where = fault.where
    return Finding(
        rule.code, rule.name, rule.severity, fault.message, where.module, where.place, fault.operands, where.node,
        branches=fault.branches, notes=fault.notes,
    )  # fmt: skip
