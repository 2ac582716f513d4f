"""Reshape mismatch: a view, reshape or expand does not fit the tensor it gets.

What it finds:
    A `view`, `reshape`, `unflatten` or `expand` to sizes that the tensor's values cannot fill.
Why it matters:
    Sizes written as numbers, or computed from another branch, hold for one configuration only.
Example:
    `v.expand(-1, -1, 11, 11)` of a (3, 16) vector: new axes are added on the left.
Repair:
    Give the tensor its missing axes first, or project it to the width that the view asks for.
Effect of the repair:
    Axes cost nothing; a projection adds its weights.
References:
    PyTorch documentation, Tensor.view and Tensor.expand.
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, finding
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import shape_text

RULE = Rule(
    "SK105",
    "reshape-mismatch",
    "error",
    "a view, reshape or expand does not fit the tensor it gets",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Finding]:
    for node in failing(subject, "reshape-mismatch"):
        assert node.failure is not None
        source, wanted = node.failure.operands[0], node.failure.operands[-1]
        yield finding(node, f"cannot {node.op} {shape_text(source)} to {shape_text(wanted)}")
