"""Recorded node -> the call in the source that made it."""

from skipstone.core.edit import Site
from skipstone.core.graph import Graph
from skipstone.surgery.errors import SurgeryError


def site_of(graph: Graph, index: int) -> Site:
    """The site of a recorded operation: its module, its place, and which run of that place it was.

    Where the place ran once in that call of the module, the site means every run.

    Raises:
        SurgeryError: a node that is no operation, or whose place is not known.
    """
    node = graph[index]
    if node.kind != "op":
        raise SurgeryError(f"node {index} ({node.name or node.kind}) is no operation of the forward pass")
    if node.site is None:
        raise SurgeryError(f"node {index} ({node.op}) was recorded without its place in the source")
    runs = [
        other.index
        for other in graph
        if other.site == node.site and other.call == node.call and other.op == node.op and other.output == 0
    ]
    first = max((run for run in runs if run <= index), default=index)
    return Site(node.module, node.site, node.op, runs.index(first) if len(runs) > 1 else None, len(node.inputs))
