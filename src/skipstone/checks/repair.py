"""Repairs: proposed for a finding, each verified by recording the mended network before it is shown."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from torch import nn

from skipstone import surgery
from skipstone.checks.proposals import PROPOSALS, Proposal
from skipstone.checks.run import findings_of
from skipstone.checks.subject import Subject
from skipstone.core import finding as core
from skipstone.core.cost import Cost
from skipstone.core.edit import Edits
from skipstone.core.errors import SkipstoneError
from skipstone.core.finding import Finding
from skipstone.graphs.costs import cost

Key = tuple[str, str, int, int]  # code, module, line, column: what makes findings of two records the same fault
_MAX_SHOWN = 4  # verified repairs a finding
_MAX_TRIED = 10
_MAX_ROUNDS = 4  # follow-up faults that one repair may mend on its way


@dataclass(frozen=True, slots=True)
class Repair(core.Repair):
    """A repair bound to the network it is for."""

    model: nn.Module | None = field(default=None, repr=False, compare=False)

    def apply(self, model: nn.Module) -> nn.Module:
        """A repaired copy of `model`; `model` stays as it is."""
        return surgery.apply(model, self.edits)

    def diff(self) -> str | None:
        """The same repair of the source as a unified diff, None where no single call site is certain."""
        return surgery.source_diff(self.model, self.edits) if self.model is not None else None

    def new_sources(self) -> Mapping[str, str]:
        """The new text of each file that `diff` changes, by path; empty where it is None."""
        return (surgery.edited_sources(self.model, self.edits) or {}) if self.model is not None else {}


def with_repairs(subject: Subject, finding: Finding, others: tuple[Finding, ...]) -> Finding:
    """The finding with its verified repairs, in the order proposed. `others` are all of the network's findings."""
    propose = PROPOSALS.get(finding.rule)
    if propose is None:
        return finding
    # What stems from this fault is to be mended with it; what stands on its own is not its affair.
    alone = {_key(other) for other in others if _stands_alone(subject, finding, other)} - {_key(finding)}
    repairs: list[Repair] = []
    for number, proposal in enumerate(propose(subject, finding)):
        if number == _MAX_TRIED or len(repairs) == _MAX_SHOWN:
            break
        repair = _verified(subject, finding, proposal, alone)
        if repair is not None:
            repairs.append(repair)
    return replace(finding, repairs=tuple(repairs))


def _stands_alone(subject: Subject, finding: Finding, other: Finding) -> bool:
    """Neither behind another fault nor the same one again: one tensor that meets several layers of the wrong width."""
    graph = subject.graph
    if graph[other.node].tainted:
        return False
    same_width = finding.data.get("wanted") is not None and finding.data == other.data and finding.rule == other.rule
    return not (same_width and graph[finding.node].inputs[:1] == graph[other.node].inputs[:1])


def _verified(subject: Subject, finding: Finding, proposal: Proposal, alone: set[Key]) -> Repair | None:
    """The repair, if the mended network shows neither the finding nor a new error; follow-up faults are mended too."""
    settled = _settle(subject, finding, proposal, alone)
    if settled is None:
        return None
    edits, mended = settled
    extra = cost(mended.graph) - cost(subject.graph)
    return Repair(
        title=proposal.title,
        edits=edits,
        cost=Cost(_num_parameters(mended.model) - _num_parameters(subject.model), extra.macs, extra.activation_bytes),
        effect=proposal.effect + _followed(len(edits) - len(proposal.edits)),
        suggestion=surgery.suggestion(edits),
        keeps_output=proposal.keeps_output,
        model=subject.model,
    )


def _followed(more: int) -> str:
    return f"; with {more} more change{'s' * (more > 1)} behind it" if more else ""


def _settle(subject: Subject, finding: Finding, proposal: Proposal, alone: set[Key]) -> tuple[Edits, Subject] | None:
    edits = proposal.edits
    for _ in range(_MAX_ROUNDS):
        try:
            mended = Subject.of(_applied(subject.model, edits), subject.example)
        except SkipstoneError:  # an edit that does not fit here is no repair
            return None
        left = [f for f in _remaining(mended, finding) if _key(f) not in alone]
        if not left:
            return edits, mended
        # In a loop the next round fails at the same place, with other shapes.
        following = next((f for f in left if _key(f) != _key(finding) or f.operands != finding.operands), None)
        more = next(_proposals(mended, following), None) if following is not None else None
        if more is None or following is None or all(edit in edits for edit in more.edits):
            return None
        edits = (*edits, *more.edits)
    return None


def _applied(model: nn.Module, edits: Edits) -> nn.Module:
    """An edited copy; how an edit is carried out concerns who applies it, not who is shown it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", surgery.SurgeryWarning)
        return surgery.apply(model, edits)


def _proposals(subject: Subject, finding: Finding) -> Iterator[Proposal]:
    propose = PROPOSALS.get(finding.rule)
    return propose(subject, finding) if propose is not None else iter(())


def _remaining(mended: Subject, finding: Finding) -> list[Finding]:
    """Errors of the mended network, and what the finding's own rule still says."""
    return [f for f in findings_of(mended) if f.severity == "error" or f.code == finding.code]


def _key(finding: Finding) -> Key:
    return finding.code, finding.module, finding.line or 0, finding.column or 0


def _num_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
