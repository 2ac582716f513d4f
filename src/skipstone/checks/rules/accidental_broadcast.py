"""Accidental broadcast: two tensors meet by a broadcast that nobody meant.

What it finds:
    An addition, subtraction or product of two tensors made from the input where an axis of size 1 is stretched, or
    where operands of different rank line up on the wrong axes (a batch axis against channels). Judged by where each
    axis comes from: gates, masks, parameters, pooled maps, kept and inserted axes are meant.
Why it matters:
    It runs: one raw channel is added to every channel, or every image is compared with every other one.
Example:
    `net(x) - x.mean(1)` of (B, 1, H, W) and (B, H, W) gives (B, B, H, W).
Repair:
    `keepdim=True` on the reduction, a 1x1 projection of the narrow branch, or an `expand` that says what is meant.
Effect of the repair:
    Each value meets its own; a projection adds its weights.
References:
    PyTorch documentation, broadcasting semantics.
"""

from collections.abc import Iterator

from skipstone.checks.around import met, warn
from skipstone.checks.ledger import branches
from skipstone.checks.rule import Rule
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import shape_text
from skipstone.graphs.broadcast import accidental_broadcasts

RULE = Rule("SK201", "accidental-broadcast", "warning", "two tensors meet by a broadcast that nobody meant")


def check(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    said: list[int] = []
    for index in accidental_broadcasts(graph):
        if any(subject.ancestry.leads_to(earlier, index) for earlier in said):
            continue  # what follows from a broadcast broadcasts too
        said.append(index)
        node = graph[index]
        shapes = met(graph, node)
        told = " and ".join(map(shape_text, shapes))
        message = f"{node.op} of {told} runs by broadcasting: the result is {shape_text(node.shape)}"
        yield warn(node, message, shapes, branches=branches(graph, subject.ancestry, node))
