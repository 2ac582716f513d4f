"""What stands around a node: the module whose forward it belongs to, who reads it, the merge that it ends in."""

from skipstone.checks.subject import Subject
from skipstone.core.finding import Shape
from skipstone.core.graph import Graph, Node, Place
from skipstone.core.skip import Skip
from skipstone.graphs.walks import back, readers, same_values

__all__ = ["back", "is_within", "merge_around", "met", "owner", "owner_call", "readers", "same_values"]


def met(graph: Graph, node: Node) -> tuple[Shape, ...]:
    """The shapes of a merge's operands, in argument order."""
    return tuple(graph[i].shape for i in node.inputs[: 2 if node.op != "cat" else None])


def owner(graph: Graph, node: Node) -> str:
    """The module whose own forward asked for a node: torch's layers and containers are asked, not asking."""
    call = node.call
    while call >= 0:
        path = graph.calls[call].path
        info = graph.modules.get(path)
        if info is None or not info.module.startswith("torch.nn") or graph.calls[call].parent < 0:
            return path
        call = graph.calls[call].parent
    return ""


def owner_call(graph: Graph, node: Node) -> int:
    """The call of `owner`, -1 for none."""
    call = node.call
    while call >= 0:
        info = graph.modules.get(graph.calls[call].path)
        if info is None or not info.module.startswith("torch.nn") or graph.calls[call].parent < 0:
            return call
        call = graph.calls[call].parent
    return -1


def is_within(graph: Graph, call: int, around: int) -> bool:
    """Did `call` run while `around` did, or is it that one?"""
    while call >= 0 and call != around:
        call = graph.calls[call].parent
    return call == around


def merge_around(subject: Subject, index: int) -> Skip | None:
    """The first skip connection on whose branches a node lies, or whose merge comes next in the same forward."""
    skips = [skip for skip in subject.skips if skip.is_block_skip and skip.merge_node >= index]
    for skip in skips:
        if index in skip.main or index in skip.shortcut or index == skip.merge_node:
            return skip
    call = owner_call(subject.graph, subject.graph[index])
    for skip in skips:
        if owner_call(subject.graph, subject.graph[skip.merge_node]) == call:
            return skip
    return None


def recorded(graph: Graph, op: str, module: str, time: int, place: Place | None) -> Node | None:
    """The node of an operation that a run met: in a loop the one of the same turn (`time` counts from 1)."""
    alike = [node for node in graph if (node.op, node.module, node.output) == (op, module, 0)]
    if 0 < time <= len(alike) and alike[time - 1].place == place:
        return alike[time - 1]
    return next((node for node in alike if node.place == place), None)
