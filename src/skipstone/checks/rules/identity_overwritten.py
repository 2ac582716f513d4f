"""Identity overwritten: an in-place operation changes the shortcut before it is added.

What it finds:
    A merge that takes another value than its source code says, because an in-place operation wrote over the memory of
    its shortcut. Proven by a second record in which in-place flags and augmented assignments make new tensors: where
    the operands of the merge differ between both records, the memory was shared by accident.
Why it matters:
    The identity is no longer x: with `ReLU(inplace=True)` first in the branch it is relu(x), and nothing says so.
Example:
    `out = Sequential(ReLU(inplace=True), Conv2d(...))(x); return out + x`.
Repair:
    `inplace=False` on the operation that writes first, or a clone of the shortcut before the branch.
Effect of the repair:
    One more activation in memory; the network computes what its source says, so trained weights see other values.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, section 3 (why the shortcut is left alone).
"""

from collections.abc import Iterator

from skipstone.checks.around import is_within, met, warn
from skipstone.checks.subject import Subject
from skipstone.core.finding import Finding
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip


def check(subject: Subject) -> Iterator[Finding]:
    graph = subject.graph
    suspects = [skip for skip in subject.skips if skip.kind != "trivial" and _may_be(graph, skip)]
    if not suspects:
        return
    plain = subject.out_of_place
    if len(plain) != len(graph):
        return
    refused = {refusal.writer for refusal in graph.refusals}
    for skip in suspects:
        for index in (*skip.shortcut, skip.merge_node):
            writer = _differs(graph, plain, graph[index])
            if writer is not None and writer.index not in refused:
                yield _finding(graph, skip, writer)
                break


def _may_be(graph: Graph, skip: Skip) -> bool:
    """Did an in-place operation inside the forward which merges make what the shortcut and the branch both read?"""
    around = graph[skip.merge_node].call
    read = {skip.short_operand, *(i for index in skip.shortcut for i in graph[index].inputs)}
    return any(
        graph[i].overwrites is not None
        and graph[i].kind == "op"
        and len(graph.users[i]) > 1
        and is_within(graph, graph[i].call, around)
        for i in read
    )


def _differs(graph: Graph, plain: Graph, node: Node) -> Node | None:
    """The in-place operation by which a node reads another value than in the other record."""
    for ours, theirs in zip(node.inputs, plain[node.index].inputs, strict=False):
        writer = graph[ours]
        # An operation whose result nobody else takes up was called for its effect: then the effect is meant.
        if ours != theirs and writer.overwrites is not None and ours > theirs and plain.users[ours]:
            return writer
    return None


def _finding(graph: Graph, skip: Skip, writer: Node) -> Finding:
    merge = graph[skip.merge_node]
    where = f" in {writer.module}" if writer.module else ""
    line = f" ({writer.place})" if writer.place else ""
    message = f"the shortcut is overwritten before the merge: {writer.op}{where}{line} works in place on it"
    return warn(
        merge,
        message,
        met(graph, merge),
        data={"writer": writer.index, "overwritten": writer.overwrites, "skip": skip.index},
    )
