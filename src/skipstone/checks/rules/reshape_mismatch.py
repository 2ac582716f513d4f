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
from math import prod

from skipstone.checks.failures import failing, operands
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, Transform
from skipstone.core.graph import shape_text
from skipstone.surgery import site_of

RULE = Rule(
    "SK105",
    "reshape-mismatch",
    "error",
    "a view, reshape or expand does not fit the tensor it gets",
    depends_on_size=True,
)


def check(subject: Subject) -> Iterator[Fault]:
    for node in failing(subject, "reshape-mismatch"):
        assert node.failure is not None
        source, wanted = node.failure.operands[0], node.failure.operands[-1]
        yield Fault(at(node), f"cannot {node.op} {shape_text(source)} to {shape_text(wanted)}", operands(node))


def repairs(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """Axes first for an expand; for a view, a projection to the number of features that it asks for."""
    node = subject.graph[fault.where.node]
    site = site_of(subject.graph, node.index)
    source, wanted = fault.operands[0], fault.operands[-1]
    if node.op == "expand" and len(wanted) > len(source):
        dims = (-1,) * (len(wanted) - len(source))
        edit = MapOperand(site, 0, Transform("unsqueeze", arguments={"dims": dims}))
        yield Proposal("give the tensor its missing axes first", (edit,), "axes of size 1 at its end; values unchanged")
        return
    if not wanted or min(wanted) < 0 or wanted[0] != source[0]:
        return
    features = prod(wanted) // max(1, prod(source[:-1]))
    if features * prod(source[:-1]) == prod(wanted) and features != source[-1]:
        spec = ModuleSpec("Linear", {"in_features": source[-1], "out_features": features})
        edit = MapOperand(site, 0, Transform("module", spec))
        yield Proposal(f"{spec} before the {node.op}", (edit,), "a learned projection to the width that is asked for")
