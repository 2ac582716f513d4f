"""Batch mismatch: the branches of a merge have different numbers of samples.

What it finds:
    An addition or concatenation whose operands agree but for the first axis, where one has the input's batch and the
    other a multiple or a part of it: a view, reshape or transpose has folded the batch into another axis.
Why it matters:
    The values of several samples stand in one; fitting the sizes would add those of one sample to another's.
Example:
    `x.view(-1, 256)` of (2, 1024) gives (8, 256).
Repair:
    None is proposed: the batch's size written out (`x.view(x.shape[0], -1)`) tells which other size is wrong.
Effect of the repair:
    None.
References:
    PyTorch documentation, Tensor.view (a size of -1 takes what is left).
"""

from collections.abc import Iterator

from skipstone.checks.failures import failing, merge_text, operands
from skipstone.checks.ledger import branches
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node

RULE = Rule("SK114", "batch-mismatch", "error", "the branches of a merge have different numbers of samples")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    for node in failing(subject, "batch-mismatch"):
        sizes = [shape[0] for shape in operands(node)]
        batch = graph[graph.inputs[0]].shape[0]
        folded = next(i for i in node.inputs if graph[i].shape[0] != batch)
        other = next(size for size in sizes if size != batch)
        fold = _fold(graph, folded, batch)
        where = f" by {fold.op}{f' ({fold.place})' if fold.place else ''}" if fold is not None else ""
        message = f"the batch was folded{where}: {other} against {batch}"
        note = merge_text(node, [f"{size} samples" for size in sizes])
        yield Fault(at(node), message, operands(node), branches=branches(graph, subject.ancestry, node), notes=(note,))


def _fold(graph: Graph, index: int, batch: int) -> Node | None:
    """The operation behind which the first axis is no longer the batch."""
    node = graph[index]
    while node.kind == "op" and node.inputs and node.shape:
        before = graph[node.inputs[0]]
        if before.shape and before.shape[0] == batch and node.shape[0] != batch:
            return node
        node = before
    return None
