"""Refused operation: torch refuses an operation for a reason no other rule explains.

What it finds:
    Any operation that raises on the recorded shapes and is neither a merge nor a layer of the wrong width.
Why it matters:
    The network does not run on this input.
Example:
    A cross product of vectors of length 8.
Repair:
    For a layer of another number format its input cast to that of its weights; for an output padding that is too large
    the stride that it belongs to; for an unpooling the size of the map before its pooling. Else torch's own words are
    given.
Effect of the repair:
    A cast rounds to the narrower format; a stride makes the map grow.
References:
    The operation's page in the PyTorch documentation.
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, operands
from skipstone.checks.mending import unpooling
from skipstone.checks.mending.formats import accepted
from skipstone.checks.rule import Fault, Proposal, Rule, Where, at
from skipstone.checks.subject import Subject

RULE = Rule("SK110", "refused-operation", "error", "torch refuses an operation", depends_on_size=True)


def check(subject: Subject) -> Iterator[Fault]:
    for node in failing(subject, "refused-operation"):
        assert node.failure is not None
        yield Fault(at(node), f"{node.op}: {node.failure.message}", operands(node))
    stop = subject.graph.stopped
    told = stop is not None and stop.own and stop.error == "TypeError"  # a call of wrong types is SK111
    if stop is not None and stop.refused and not told and not subject.graph.assumptions:
        yield Fault(Where(len(subject.graph) - 1, stop.module, stop.place), stop.message)


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    yield from accepted(subject, fault)
    yield from unpooling.sized(subject)
