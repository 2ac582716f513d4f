"""Shortcut added twice: the same shortcut is added again to the sum that already holds it.

What it finds:
    An addition of x to a sum that x is already a term of and that nothing else reads, with no layer, norm or activation
    between.
Why it matters:
    The result is f(x) + 2x: over depth the stream doubles with every block instead of growing slowly.
Example:
    `out = self.body(x) + x` in the block, `out = out + x` once more behind it.
Repair:
    Leave one of the two additions out.
Effect of the repair:
    The block computes f(x) + x; trained weights were fitted to the other sum.
References:
    He et al. 2016, Identity Mappings in Deep Residual Networks, 1603.05027, section 3.1 (a scaled identity multiplies).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skipstone.checks.around import met, same_values
from skipstone.checks.rule import Fault, Proposal, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.edit import DropOperand
from skipstone.core.graph import Graph
from skipstone.surgery import site_of

RULE = Rule("SK204", "shortcut-twice", "warning", "the same shortcut is added a second time")


@dataclass(frozen=True, kw_only=True)
class Again(Fault):
    """`shortcut`: the node that is added a second time."""

    shortcut: int


def check(subject: Subject) -> Iterator[Again]:
    graph, ancestry = subject.graph, subject.ancestry
    for node in graph:
        if node.op != "add" or len(node.inputs) != 2 or node.tainted or not ancestry.active[node.index]:
            continue
        first, second = (same_values(graph, i) for i in node.inputs)
        if first == second:
            continue
        for total, term in ((first, second), (second, first)):
            earlier = _sum_holding(graph, total, term)
            if earlier is not None and ancestry.active[term] and _has_branch(subject, earlier):
                where = f" ({graph[earlier].place})" if graph[earlier].place else ""
                message = f"the shortcut is added twice: the sum before{where} holds it already"
                yield Again(at(node), message, met(graph, node), shortcut=term)
                break


def repairs(subject: Subject, fault: Again) -> Iterator[Proposal]:
    node = subject.graph[fault.where.node]
    if fault.shortcut in node.inputs:
        edit = DropOperand(site_of(subject.graph, node.index), node.inputs.index(fault.shortcut))
        yield Proposal("add the shortcut once", (edit,), "the second addition goes")


def _sum_holding(graph: Graph, total: int, term: int) -> int | None:
    """The addition in a chain of plain additions that has `term` for an operand; scaled sums are other designs."""
    pending = [total]
    while pending:
        node = graph[pending.pop()]
        if node.op != "add" or len(node.inputs) != 2 or "alpha" in node.arguments:
            continue
        if len(graph.users[node.index]) != 1 or node.index in graph.outputs:
            continue  # others read the sum: streams that are all added up in the end (a dense sum)
        operands = [same_values(graph, i) for i in node.inputs]
        if term in operands and operands[0] != operands[1]:
            return node.index
        pending.extend(operands)
    return None


def _has_branch(subject: Subject, earlier: int) -> bool:
    """Is the earlier sum that of a residual?"""
    return any(skip.merge_node == earlier and skip.is_block_skip for skip in subject.skips)
