"""No batch axis: one sample is given, without the batch axis, to a network that needs it.

What it finds:
    An input with one axis less than the convolutions that read it take for a batch, in a network that then fails. Torch
    runs a convolution on a single sample, so that the failure comes later: at a flatten, a batch norm, a merge.
Why it matters:
    The error that surfaces names a layer that is right.
Example:
    A (3, 32, 32) image for a network of 2-D convolutions that ends in `x.flatten(1)`.
Repair:
    The batch axis in front: (1, 3, 32, 32), `x.unsqueeze(0)`.
Effect of the repair:
    The network gets a batch of one.
References:
    PyTorch documentation, Conv2d (shapes with and without the batch axis).
"""

from collections.abc import Iterator

from skipstone.checks.around import readers
from skipstone.checks.rule import Fault, Rule, Where
from skipstone.checks.subject import Subject
from skipstone.core.graph import Node
from skipstone.graphs.roles import CONV

RULE = Rule("SK115", "no-batch-axis", "error", "one sample is given without the batch axis")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    stopped = graph.stopped is not None and (graph.stopped.own or graph.stopped.refused)
    if not graph.inputs or not (graph.failures or stopped):
        return
    given = graph[graph.inputs[0]]
    first = [node for node in readers(graph, given.index) if node.op in CONV]
    if first and all(len(given.shape) == _axes(node) + 1 for node in first):
        text = "x".join(map(str, given.shape))
        message = f"no batch axis: {text} given to a network of {_axes(first[0])}-D convolutions"
        note = f"give it (1, {', '.join(map(str, given.shape))})"
        where = Where(first[0].index, "", first[0].place)
        yield Fault(where, message, (given.shape,), notes=(note,), explains_all=True)


def _axes(conv: Node) -> int:
    """How many axes of places a convolution has."""
    return int(conv.op[-2])
