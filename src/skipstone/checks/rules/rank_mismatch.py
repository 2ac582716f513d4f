"""Rank mismatch: the branches of a merge have different numbers of axes.

What it finds:
    An addition or concatenation of tensors with different numbers of axes that torch refuses.
Why it matters:
    One branch was flattened or pooled and lost its axes, the other was not; broadcasting lines axes up from the right.
Example:
    `cat([conv_map, vector], -1)` of (2, 16, 1, 1) and (2, 4).
Repair:
    Flatten the one, or give the other its axes back (`[:, :, None, None]`).
Effect of the repair:
    No parameters; values unchanged.
References:
    PyTorch documentation, broadcasting semantics.
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, merge_text, operands
from skipstone.checks.ledger import branches
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, Transform
from skipstone.core.graph import shape_text
from skipstone.surgery import site_of

RULE = Rule(
    "SK104",
    "rank-mismatch",
    "error",
    "the branches of a merge have different numbers of axes",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Fault]:
    for node in failing(subject, "rank-mismatch"):
        assert node.failure is not None
        words = [f"{shape_text(shape)} ({len(shape)} axes)" for shape in node.failure.operands]
        yield Fault(
            at(node), merge_text(node, words), operands(node), branches=branches(subject.graph, subject.ancestry, node)
        )


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """Flatten the deeper operand, or give the flatter one axes of size 1 at its end."""
    node = subject.graph[fault.where.node]
    site = site_of(subject.graph, node.index)
    ranks = [len(subject.graph[i].shape) for i in node.inputs]
    deep = [k for k, rank in enumerate(ranks) if rank > 2]
    if min(ranks) == 2:
        flat = tuple(MapOperand(site, k, Transform("flatten")) for k in deep)
        yield Proposal("flatten the deeper operand", flat, "all its values become features")
    shallow = [k for k, rank in enumerate(ranks) if rank < max(ranks)]
    edits = tuple(
        MapOperand(site, k, Transform("unsqueeze", arguments={"dims": (-1,) * (max(ranks) - ranks[k])}))
        for k in shallow
    )
    yield Proposal(
        "give the flatter operand its axes back",
        edits,
        "axes of size 1 at its end; values unchanged",
        keeps_output=True,
    )
