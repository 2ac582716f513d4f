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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from skipstone.checks.around import is_within, met
from skipstone.checks.mending.writes import out_of_place
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip

RULE = Rule("SK202", "identity-overwritten", "warning", "an in-place operation changes the shortcut before it is added")


@dataclass(frozen=True, kw_only=True)
class Overwritten(Fault):
    """`writer`: the operation that works in place on the shortcut."""

    writer: int


def check(subject: Subject) -> Iterator[Overwritten]:
    graph = subject.graph
    suspects = [skip for skip in subject.skips if skip.kind != "trivial" and _may_be(graph, skip)]
    if not suspects:
        return
    plain = subject.out_of_place
    twins = _twins(graph, plain)
    refused = {refusal.writer for refusal in graph.refusals}
    for skip in suspects:
        for index in (*skip.shortcut, skip.merge_node):
            writer = _differs(graph, plain, twins, graph[index]) if index in twins else None
            if writer is not None and writer.index not in refused:
                yield _fault(graph, skip, writer)
                break


def repairs(subject: Subject, fault: Overwritten) -> Iterator[Proposal]:
    yield out_of_place(subject, fault.writer)


def _may_be(graph: Graph, skip: Skip) -> bool:
    """Did an in-place operation inside the forward which merges make what the shortcut and the branch both read?"""
    around = graph[skip.merge_node].call
    read = {skip.short_operand, *(i for index in skip.shortcut for i in graph[index].inputs)}
    read = {_made(graph, i) for i in read}
    return any(
        graph[i].overwrites is not None
        and graph[i].kind == "op"
        and len(graph.users[i]) > 1
        and is_within(graph, graph[i].call, around)
        for i in read
    )


def _differs(graph: Graph, plain: Graph, twins: Mapping[int, int], node: Node) -> Node | None:
    """The in-place operation by which a node reads another value than in the other record."""
    for read, theirs in zip(node.inputs, plain[twins[node.index]].inputs, strict=False):
        writer = graph[_made(graph, read)]
        ours, theirs = twins.get(writer.index, -1), _made(plain, theirs)
        # An operation whose result nobody else takes up was called for its effect: then the effect is meant.
        if ours > theirs and writer.overwrites is not None and plain.users[ours]:
            return writer
    return None


def _twins(graph: Graph, plain: Graph) -> dict[int, int]:
    """The same operations in both records; empty where they are not the same in the same order."""
    ours, theirs = ([node for node in record if not _is_derived(node)] for record in (graph, plain))
    if [node.op for node in ours] != [node.op for node in theirs]:
        return {}
    return {one.index: other.index for one, other in zip(ours, theirs, strict=True)}


def _made(graph: Graph, index: int) -> int:
    """The operation that made a value last, where the node stands for memory written through a view of it."""
    while _is_derived(graph[index]):
        index = graph[index].inputs[-1]
    return index


def _is_derived(node: Node) -> bool:
    """A tensor whose memory was written through another one: noted by the recorder, no call of the network's."""
    return node.kind == "op" and node.op in ("alias", "setitem") and not node.arguments and bool(node.inputs)


def _fault(graph: Graph, skip: Skip, writer: Node) -> Overwritten:
    merge = graph[skip.merge_node]
    where = f" in {writer.module}" if writer.module else ""
    line = f" ({writer.place})" if writer.place else ""
    message = f"the shortcut is overwritten before the merge: {writer.op}{where}{line} works in place on it"
    return Overwritten(at(merge), message, met(graph, merge), writer=writer.index)
