"""Repairs: proposed for a finding, each verified on the mended network: by its record, and a run where it is cheap."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from torch import nn

from skipstone import surgery
from skipstone.checks.codes import CODES
from skipstone.checks.probes import refused_in_run
from skipstone.checks.rule import Proposal, repairs_of
from skipstone.checks.run import Found, faults_of
from skipstone.checks.subject import Subject
from skipstone.core import finding as core
from skipstone.core.edit import Edits
from skipstone.core.errors import SkipstoneError
from skipstone.core.sources import SourceChange
from skipstone.execution import NotRun
from skipstone.graphs.costs import batch_of, cost
from skipstone.tracing import cost_of_record

Key = tuple[str, str, int, int]  # code, module, line, column: what makes the faults of two records the same
_MAX_SHOWN = 4  # verified repairs a finding
_MAX_TRIED = 10
_MAX_ROUNDS = 4  # follow-up faults that one repair may mend on its way
_EFFORT = 3500  # nodes that all repairs of one check may record: about a second
_NOT_RUN = "; not run"
_ERRORS = frozenset(rule.code for rule in CODES if rule.severity == "error")


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

    def changes(self) -> tuple[SourceChange, ...]:
        """The files that `diff` changes, before and after; none where it is None."""
        return (surgery.source_changes(self.model, self.edits) or ()) if self.model is not None else ()


class Effort:
    """What is left to be spent on trying repairs: a network with hundreds of faults is told in time, too.

    `cut` counts the faults of which no repair was tried for want of it.
    """

    def __init__(self, subject: Subject) -> None:
        self.left, self.cut = _EFFORT, 0
        self._record = cost_of_record(subject.graph)

    def spend(self) -> None:
        """One more record of the network."""
        self.left -= self._record


def verified_repairs(subject: Subject, found: Found, others: Sequence[Found], effort: Effort) -> tuple[Repair, ...]:
    """The repairs of a fault that hold, in the order proposed, as far as the effort goes.

    `others` are all of the network's faults.
    """
    if any(other.rule == refused_in_run.RULE and other.fault.where.node < found.fault.where.node for other in others):
        return ()  # the run never came to this fault: what stands here then is not known
    # What stems from this fault is to be mended with it; what stands on its own is not its affair.
    alone = {_key(other) for other in others if _stands_alone(subject, found, other)} - {_key(found)}
    repairs: list[Repair] = []
    for number, proposal in enumerate(_proposals(subject, found)):
        if number == _MAX_TRIED or len(repairs) == _MAX_SHOWN:
            break
        if effort.left <= 0:
            effort.cut += not repairs
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a try of ours the user has asked nothing
            repair = _verified(subject, found, proposal, alone, effort)
        if repair is not None:
            repairs.append(repair)
    return tuple(repairs)


def _stands_alone(subject: Subject, found: Found, other: Found) -> bool:
    """Neither behind another fault nor the same slip again."""
    if subject.graph[other.fault.where.node].tainted:
        return False
    return found.fault.cause is None or found.fault.cause != other.fault.cause


def _verified(subject: Subject, found: Found, proposal: Proposal, alone: set[Key], effort: Effort) -> Repair | None:
    """The repair, if the mended network shows neither the fault nor a new error; follow-up faults are mended too."""
    edits, proof = proposal.edits, None
    while proof is None:
        settled = _settle(subject, found, edits, alone, effort)
        if settled is None:
            return None
        edits, mended, alone_left = settled
        effort.spend()
        proof, ran = (_NOT_RUN, None) if alone_left else _proof(subject, edits, mended)
        if alone_left and _still_refused(subject, found, edits, mended):
            return None
        if proof is None and edits == (edits := (*edits, *_behind_refusal(ran, edits))):
            return None
    extra = (cost(mended.graph) - cost(subject.graph)).for_one(batch_of(subject.graph))
    return Repair(
        title=proposal.title,
        edits=edits,
        cost=extra,
        effect=proposal.effect + _followed(len(edits) - len(proposal.edits)) + proof,
        suggestion=surgery.suggestion(edits),
        keeps_output=proposal.keeps_output,
        model=subject.model,
    )


def _followed(more: int) -> str:
    return f"; with {more} more change{'s' * (more > 1)} behind it" if more else ""


def _proof(subject: Subject, edits: Edits, mended: Subject) -> tuple[str | None, Subject | None]:
    """Nothing where a real run of the mended network, forward and backward, comes to its end, None where torch refuses;
    the words for it where no run was made. With it the network that was run."""
    if subject.run is False:
        return "", None
    if isinstance(subject.plan, NotRun):
        return _NOT_RUN, None
    ran = _to_run(subject, edits, mended)
    if ran.witness is None or not ran.witness.plan.as_asked:
        return _NOT_RUN, ran
    own = ran.witness.own
    return None if own.raised is not None else "" if own.ended else _NOT_RUN, ran


def _to_run(subject: Subject, edits: Edits, mended: Subject) -> Subject:
    model = surgery.apply(subject.model, edits)
    return Subject(model, subject.example, mended.graph, subject.run, subject.budget)


def _still_refused(subject: Subject, found: Found, edits: Edits, mended: Subject) -> bool:
    """Does a run refuse at the same place for the same reason? Of what the run alone told, a record shows nothing."""
    if found.rule != refused_in_run.RULE:
        return False
    fault = next(refused_in_run.check(_to_run(subject, edits, mended)), None)
    told = found.fault
    return fault is not None and (fault.where.module, fault.message) == (told.where.module, told.message)


def _behind_refusal(ran: Subject | None, edits: Edits) -> Edits:
    """Edits beside those that were run, which mend what torch refused there; none where nothing does."""
    fault = next(refused_in_run.check(ran), None) if ran is not None else None
    more = next(refused_in_run.repairs(ran, fault), None) if ran is not None and fault is not None else None
    return () if more is None else tuple(edit for edit in more.edits if edit not in edits)


def _settle(
    subject: Subject, found: Found, edits: Edits, alone: set[Key], effort: Effort
) -> tuple[Edits, Subject, bool] | None:
    """The edits that mend it, the mended network, and whether an error that stands alone is left in it."""
    for _ in range(_MAX_ROUNDS):
        if effort.left <= 0:
            return None
        effort.spend()
        try:
            mended = Subject.of(_applied(subject.model, edits), subject.example)
        except SkipstoneError:  # an edit that does not fit here is no repair
            return None
        remaining = _remaining(mended, found)
        left = [other for other in remaining if _key(other) not in alone]
        if not left:
            return edits, mended, any(other.rule.severity == "error" for other in remaining)
        # In a loop the next round fails at the same place, with other shapes.
        following = next((f for f in left if _key(f) != _key(found) or f.fault.operands != found.fault.operands), None)
        more = next(_proposals(mended, following), None) if following is not None else None
        if more is None or all(edit in edits for edit in more.edits):
            return None
        edits = (*edits, *more.edits)
    return None


def _applied(model: nn.Module, edits: Edits) -> nn.Module:
    """The edited network on the same weights; how an edit is carried out concerns who applies it."""
    return surgery.preview(model, edits)


def _proposals(subject: Subject, found: Found) -> Iterator[Proposal]:
    """What could mend a slip at all its places: to each proposal for the first, the one of its kind for every other."""
    propose = repairs_of(found.module)
    if propose is None:
        return
    others = [list(islice(_at_known_places(propose(subject, fault)), _MAX_TRIED)) for fault in found.also]
    for number, proposal in enumerate(_at_known_places(propose(subject, found.fault))):
        alike = [rest[number] for rest in others if number < len(rest) and _kind(rest[number]) == _kind(proposal)]
        edits = list(proposal.edits)
        for other in alike:
            edits += [edit for edit in other.edits if edit not in edits]
        places = len(edits) // len(proposal.edits) - 1
        more = f", and {places} more so" if places > 0 else ""
        yield replace(proposal, title=proposal.title + more, edits=tuple(edits))


def _at_known_places(proposals: Iterator[Proposal]) -> Iterator[Proposal]:
    """What a rule proposes, up to an edit of an operation whose place is not known, as that of a framework's own."""
    try:
        yield from proposals
    except surgery.SurgeryError:
        return


def _kind(proposal: Proposal) -> tuple[type, ...]:
    return tuple(type(edit) for edit in proposal.edits)


def _remaining(mended: Subject, found: Found) -> list[Found]:
    """Errors of the mended network, and what the fault's own rule still says."""
    return list(faults_of(mended, _ERRORS | {found.rule.code}))


def _key(found: Found) -> Key:
    where = found.fault.where
    line, column = (where.place.line, where.place.column) if where.place else (0, 0)
    return found.rule.code, where.module, line, column
