"""Run the rules of the table over one recorded network."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from skipstone.checks.codes import CODES, MODULES
from skipstone.checks.rule import Fault, Rule, RuleModule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding, Repair, SizeSummary
from skipstone.core.graph import Graph
from skipstone.tracing.session import uncollected

_MAX_NAMED = 4  # further places that a finding names
# What a real run shows of a slip that a rule of the record names with its place and its cause.
_TOLD_BY_RULE: Mapping[str, frozenset[str]] = {
    "never-called": frozenset(("unread-shortcut", "shared-module")),
    "samples-meet": frozenset(("batch-attention", "accidental-broadcast", "swapped-axes")),
}
_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, slots=True)
class Found:
    """A fault, the rule that saw it, and the same slip again: of one cause, or at the same line of a class."""

    module: RuleModule
    fault: Fault
    also: tuple[Fault, ...] = ()

    @property
    def rule(self) -> Rule:
        return self.module.RULE

    def finding(self, sizes: tuple[SizeSummary, ...], repairs: tuple[Repair, ...]) -> Finding:
        """The record of it, complete."""
        rule, fault, where = self.rule, self.fault, self.fault.where
        return Finding(
            rule.code, rule.name, rule.severity, fault.message, where.module, where.place, fault.operands, where.node,
            branches=fault.branches, sizes=sizes, repairs=repairs, notes=(*fault.notes, *self._elsewhere),
        )  # fmt: skip

    @property
    def _elsewhere(self) -> Iterator[str]:
        """A note of the other places, if there are any."""
        modules = [fault.where.module or "forward" for fault in self.also]
        others = list(dict.fromkeys(module for module in modules if module != self.fault.where.module))
        if others:
            more = f" and {len(others) - _MAX_NAMED} more" if len(others) > _MAX_NAMED else ""
            alike = all(fault.operands == self.fault.operands for fault in self.also)
            yield f"{'the same' if alike else 'likewise'} in {', '.join(others[:_MAX_NAMED])}{more}"
        elif self.also:
            yield f"the same {len(self.also)} more times"


def faults_of(subject: Subject, select: Iterable[str] | None = None, ignore: Iterable[str] = ()) -> tuple[Found, ...]:
    """The faults that the rules asked for see, worst first."""
    chosen = set(select) if select is not None else {rule.code for rule in CODES}
    wanted = [module for module in MODULES if module.RULE.code in chosen - set(ignore)]
    with uncollected():
        told = [found for found in _found(subject, wanted) if not _is_disproved(subject, found)]
    if any(found.fault.explains_all for found in told):
        told = [found for found in told if found.fault.explains_all or found.rule.severity != "error"]
    names = {found.rule.name for found in told}
    told = [found for found in told if not names & _TOLD_BY_RULE.get(found.rule.name, frozenset())]
    wrong = {found.fault.where.node for found in told if found.rule.severity == "error"}
    told = [found for found in told if found.rule.severity != "warning" or found.fault.where.node not in wrong]
    told.sort(key=lambda found: (_ORDER[found.rule.severity], found.fault.where.node))
    return tuple(_slips(told))


def _slips(told: Iterable[Found]) -> Iterator[Found]:
    """One for each slip of the user's: what one edit of the source removes is told once."""
    groups: dict[Hashable, list[Found]] = {}
    for found in told:
        groups.setdefault((found.rule.code, _slip(found)), []).append(found)
    for first, *rest in groups.values():
        also = tuple(other.fault for other in rest if other.fault.where != first.fault.where)
        yield Found(first.module, first.fault, also)


def _slip(found: Found) -> Hashable:
    """What faults of one slip have in common: the cause; else the line, and for an error what it says of the shapes.

    At one line of a wrapper such as `self.branch(x) + self.shortcut(x)` two instances may each be wrong in its own way.
    """
    fault = found.fault
    if fault.cause is not None or fault.where.place is None:
        return fault.cause if fault.cause is not None else fault.where
    return fault.where.place, fault.message if found.rule.severity == "error" else ""


def _found(subject: Subject, modules: Iterable[RuleModule]) -> Iterator[Found]:
    for module in modules:
        for fault in module.check(subject):
            yield Found(module, _placed(subject.graph, fault))


def _placed(graph: Graph, fault: Fault) -> Fault:
    """The fault at the line that built its layer, where the layer is called by none."""
    where = fault.where
    line = graph.line_of(where.node) if where.place is None else None
    return fault if line is None else replace(fault, where=replace(where, place=line))


def _is_disproved(subject: Subject, found: Found) -> bool:
    """Does the record say that this very pass is refused, and a real run of it comes to its end?"""
    graph, node = subject.graph, found.fault.where.node
    of_this_pass = graph.stopped is not None or graph.refusals or graph[node].failure is not None
    if found.rule.severity != "error" or not of_this_pass or subject.witness is None:
        return False
    return subject.witness.plan.as_asked and subject.witness.own.ran
