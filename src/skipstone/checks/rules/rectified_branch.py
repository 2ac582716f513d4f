"""Rectified branch: the branch ends in a ReLU before the addition, and another one follows it.

What it finds:
    A residual block whose branch ends in a ReLU directly before the addition, with one more directly behind the sum.
    Left alone: a class that rectifies its projected shortcuts as well, so that it adds rectified maps by design
    (SqueezeNext, 1803.10615); SK301 notes it.
Why it matters:
    The branch can only add, never take away, so the stream grows with every block; and behind a shortcut that is
    already rectified the last ReLU does nothing at all.
Example:
    `out = relu(bn2(conv2(out))); return relu(out + x)`.
Repair:
    Leave out the ReLU before the addition.
Effect of the repair:
    The branch may subtract; no parameters, another function.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, section 4.1 and table 2 ("ReLU before
    addition", 7.84 % error against 6.61 %).
"""

from collections.abc import Iterator

from skipstone.checks.around import back, met, owner, readers, same_values
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip
from skipstone.graphs.roles import TRANSPARENT
from skipstone.skips import find_skips

RULE = Rule("SK219", "rectified-branch", "warning", "the branch ends in a ReLU before the addition and another follows")
RELU = frozenset(("relu", "relu6", "threshold"))


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    designed = {_kind(subject, skip) for skip in subject.skips if _both_end_in_relu(graph, skip)}
    for skip in subject.skips:
        merge = graph[skip.merge_node]
        suspect = ends_in_relu(graph, skip) and not merge.tainted and _rectified(graph, merge.index)
        if suspect and _kind(subject, skip) not in designed and _directly(subject, merge):
            message = "the branch ends in a ReLU before the addition and another follows: the branch can only add"
            yield Fault(at(merge), message, met(graph, merge))


def ends_in_relu(graph: Graph, skip: Skip) -> bool:
    """Is a residual's branch rectified directly before the addition, its shortcut not?"""
    if skip.kind not in ("identity", "projection") or skip.merge != "add" or graph[skip.merge_node].op != "add":
        return False
    return graph[last(graph, skip.main_operand)].op in RELU and not _shortcut_ends_in_relu(graph, skip)


def _shortcut_ends_in_relu(graph: Graph, skip: Skip) -> bool:
    relu = last(graph, skip.short_operand)
    return graph[relu].op in RELU and relu in skip.shortcut


def _both_end_in_relu(graph: Graph, skip: Skip) -> bool:
    """Of any kind: a rectified layer on both sides is `parallel` where it is no projection by its shape."""
    rectified = graph[last(graph, skip.main_operand)].op in RELU and _shortcut_ends_in_relu(graph, skip)
    return rectified and skip.merge == "add"


def _kind(subject: Subject, skip: Skip) -> type:
    """The class whose forward adds."""
    return type(subject.module_at(owner(subject.graph, subject.graph[skip.merge_node])))


def last(graph: Graph, index: int) -> int:
    """The last operation on a branch that changes values."""
    return back(graph, index, lambda node: node.op in TRANSPARENT)


def _directly(subject: Subject, merge: Node) -> bool:
    """Is the ReLU's own result added? With a dropout between it is another, published design (TCN, 1803.01271)."""
    training = subject.in_mode(True)  # in evaluation a dropout leaves no trace
    skips = subject.skips if training is subject.graph else find_skips(training)
    twins = [skip for skip in skips if training[skip.merge_node].place == merge.place and skip.module == merge.module]
    return all(training[same_values(training, skip.main_operand)].op in RELU for skip in twins)


def _rectified(graph: Graph, merge: int) -> bool:
    users = list(readers(graph, merge))
    return bool(users) and all(user.op in RELU for user in users)
