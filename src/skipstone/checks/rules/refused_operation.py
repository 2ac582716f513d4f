"""Refused operation: torch refuses an operation for a reason no other rule explains.

What it finds:
    Any operation that raises on the recorded shapes and is neither a merge nor a layer of the wrong width.
Why it matters:
    The network does not run on this input.
Example:
    A cross product of vectors of length 8.
Repair:
    None is proposed: torch's own words are given.
Effect of the repair:
    None.
References:
    The operation's page in the PyTorch documentation.
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, operands
from skipstone.checks.rule import Fault, Rule, Where, at
from skipstone.checks.subject import Subject

RULE = Rule("SK110", "refused-operation", "error", "torch refuses an operation", depends_on_size=True)


def check(subject: Subject) -> Iterator[Fault]:
    for node in failing(subject, "refused-operation"):
        assert node.failure is not None
        yield Fault(at(node), f"{node.op}: {node.failure.message}", operands(node))
    stop = subject.graph.stopped
    if stop is not None and stop.refused and not subject.graph.assumptions:
        yield Fault(Where(len(subject.graph) - 1, stop.module, stop.place), stop.message)
