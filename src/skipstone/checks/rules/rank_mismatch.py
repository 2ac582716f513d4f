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

from skipstone.checks.failures import failing, finding, merge_text
from skipstone.checks.ledger import branches
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import shape_text

RULE = Rule(
    "SK104",
    "rank-mismatch",
    "error",
    "the branches of a merge have different numbers of axes",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Finding]:
    for node in failing(subject, "rank-mismatch"):
        assert node.failure is not None
        words = [f"{shape_text(shape)} ({len(shape)} axes)" for shape in node.failure.operands]
        yield finding(node, merge_text(node, words), branches=branches(subject.graph, subject.ancestry, node))
