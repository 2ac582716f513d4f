"""Self add: a tensor is added to itself, or concatenated with itself.

What it finds:
    `x + x`, `x += x` or `cat([x, x], 1)` of one tensor that layers made from the input.
Why it matters:
    The block overwrote its input with its own result: instead of a residual it returns twice the branch.
Example:
    `x = self.bn2(self.conv2(x)); x += x`.
Repair:
    Keep the input under a name of its own and add that.
Effect of the repair:
    The identity returns; the network computes another function.
References:
    He et al. 2015, Deep Residual Learning for Image Recognition, 1512.03385, section 3.2.
"""

from collections.abc import Iterator

from skipstone.checks.around import met, same_values
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node

RULE = Rule("SK203", "self-add", "warning", "a tensor is added to itself")


def check(subject: Subject) -> Iterator[Fault]:
    graph, ancestry = subject.graph, subject.ancestry
    for node in graph:
        if node.op not in ("add", "cat") or len(node.inputs) != 2 or node.tainted or not ancestry.active[node.index]:
            continue
        first, second = (same_values(graph, i) for i in node.inputs)
        if first != second or not _is_map(subject, node, first) or _merges_others(graph, node):
            continue
        made = graph[first].op
        if node.op == "add":
            message = f"a tensor is added to itself: the result is twice {made}'s, the shortcut is lost"
        else:
            message = f"a tensor is concatenated with itself: {made}'s result stands there twice, the shortcut is lost"
        yield Fault(at(node), message, met(graph, node))


def _is_map(subject: Subject, node: Node, operand: int) -> bool:
    """Features that a layer made, be it some steps ago.

    One channel alone may be repeated on purpose: a gray map for a network that was trained on colours.
    """
    shape = subject.graph[operand].shape
    if len(shape) < 2 or not node.spec.dtype.startswith(("float", "bfloat")) or not _is_branch(subject, operand):
        return False
    if node.op == "add":
        return True
    dim = node.argument("dim", 0)
    features = subject.layout.feature_axis(operand)
    return isinstance(dim, int) and features == dim % len(shape) and shape[features] > 1


def _merges_others(graph: Graph, node: Node) -> bool:
    """Does the same line add different tensors in another round of its loop (the deepest level of U-Net or FPN)?"""
    return any(
        other.op == node.op and other.place == node.place and len({same_values(graph, i) for i in other.inputs}) > 1
        for other in graph
        if other.index != node.index and node.place is not None
    )


def _is_branch(subject: Subject, index: int) -> bool:
    """Did a layer make the tensor, be it some steps ago?"""
    ancestors = subject.ancestry.ancestors[index]
    return any(ancestors >> i & 1 for i, layer in enumerate(subject.ancestry.layers) if layer)
