"""ReLU before add: the branch of a residual block ends in a ReLU.

What it finds:
    A ReLU on the branch directly before the addition, with none behind the sum, or by a design that SK219 leaves alone.
Why it matters:
    The branch can only add to the stream, never take away from it. Some published networks do so on purpose.
Example:
    `x + relu(conv2(relu(conv1(x))))`.
Repair:
    The activation behind the addition, or before the convolutions (pre-activation).
Effect of the repair:
    No parameters; another function.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, section 4.1. On purpose in SqueezeNext,
    1803.10615, whose every convolution, on shortcuts too, is rectified.
"""

from collections.abc import Iterator

from skipstone.checks.around import met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.rules import rectified_branch
from skipstone.checks.subject import Subject

RULE = Rule("SK301", "relu-before-add", "note", "the branch of a residual block ends in a ReLU")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    said = {fault.where.node for fault in rectified_branch.check(subject)}
    found = [
        skip for skip in subject.skips if rectified_branch.ends_in_relu(graph, skip) and skip.merge_node not in said
    ]
    if found:
        merge = graph[found[0].merge_node]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        message = f"the branch ends in a ReLU: it can only add to the stream{more}"
        yield Fault(at(merge), message, met(graph, merge))
