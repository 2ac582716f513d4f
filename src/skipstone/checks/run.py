"""Run the rules of the table over one recorded network."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from skipstone.checks.codes import CODES, MODULES
from skipstone.checks.rule import Fault, Rule, RuleModule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding, Repair, SizeSummary

_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Found:
    """A fault and the rule that saw it."""

    module: RuleModule
    fault: Fault

    @property
    def rule(self) -> Rule:
        return self.module.RULE

    def finding(self, sizes: tuple[SizeSummary, ...], repairs: tuple[Repair, ...]) -> Finding:
        """The record of it, complete."""
        rule, fault, where = self.rule, self.fault, self.fault.where
        return Finding(
            rule.code, rule.name, rule.severity, fault.message, where.module, where.place, fault.operands, where.node,
            branches=fault.branches, sizes=sizes, repairs=repairs, notes=fault.notes,
        )  # fmt: skip


def faults_of(subject: Subject, select: Iterable[str] | None = None, ignore: Iterable[str] = ()) -> tuple[Found, ...]:
    """The faults that the rules asked for see, worst first."""
    chosen = set(select) if select is not None else {rule.code for rule in CODES}
    wanted = [module for module in MODULES if module.RULE.code in chosen - set(ignore)]
    told = [found for found in _found(subject, wanted) if not _is_disproved(subject, found)]
    return tuple(sorted(told, key=lambda found: (_ORDER[found.rule.severity], found.fault.where.node)))


def _found(subject: Subject, modules: Iterable[RuleModule]) -> Iterator[Found]:
    for module in modules:
        for fault in module.check(subject):
            yield Found(module, fault)


def _is_disproved(subject: Subject, found: Found) -> bool:
    """Does the record say that this very pass is refused, and a real run of it comes to its end?"""
    graph, node = subject.graph, found.fault.where.node
    of_this_pass = graph.stopped is not None or graph.refusals or graph[node].failure is not None
    if found.rule.severity != "error" or not of_this_pass or subject.witness is None:
        return False
    return subject.witness.plan.as_asked and subject.witness.own.ran
