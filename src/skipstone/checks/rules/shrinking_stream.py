"""Shrinking stream: the residual sum is multiplied by a constant well below one after every block.

What it finds:
    Three or more residual sums on one path, each multiplied as a whole by a number of at most 0.6. Left alone: the
    square root of a half, which keeps the variance of two equal parts (score-based diffusion networks, StyleGAN), and a
    mean of several paths.
Why it matters:
    The identity reaches the end scaled by the product of all factors: at 0.5 over ten blocks by a thousandth, and its
    gradient with it.
Example:
    `x = 0.5 * (x + self.body(x))` in each of ten blocks.
Repair:
    Scale the branch, not the sum.
Effect of the repair:
    No parameters; another function.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, equation 7 (a scaled stream decays with the
    product of its factors).
"""

from collections.abc import Iterator

from skipstone.checks.around import met, readers, same_values
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node

RULE = Rule("SK222", "shrinking-stream", "warning", "the residual sum is scaled down after every block")
_MOST, _BLOCKS = 0.6, 3


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    merges = {skip.merge_node for skip in subject.skips if skip.is_block_skip and skip.merge == "add"}
    scaled = [(node, factor) for node in graph if (factor := _factor(node)) is not None]
    found = [
        (node, factor, merge)
        for node, factor in scaled
        if (merge := same_values(graph, node.inputs[0])) in merges and _alone(subject, merge, node)
    ]
    row = [one for one in found if subject.ancestry.leads_to(one[0].index, found[-1][2]) or one is found[-1]]
    if len(row) < _BLOCKS:
        return
    product = 1.0
    for _, factor, _ in row:
        product *= factor
    node, factor, merge = row[0]
    message = f"the sum is multiplied by {factor:g} in {len(row)} blocks: the identity arrives at {product:.1g} times"
    yield Fault(at(graph[merge], place=node.place), message, met(graph, graph[merge]))


def _factor(node: Node) -> float | None:
    """The number below `_MOST` by which a node multiplies its operand."""
    number = node.arguments.get("other")
    if node.op not in ("mul", "div") or len(node.inputs) != 1 or isinstance(number, bool):
        return None
    if not isinstance(number, int | float) or number == 0:
        return None
    factor = 1 / number if node.op == "div" else number
    return float(factor) if 0 < factor <= _MOST else None


def _alone(subject: Subject, merge: int, node: Node) -> bool:
    return [user.index for user in readers(subject.graph, merge, frozenset())] == [node.index]
