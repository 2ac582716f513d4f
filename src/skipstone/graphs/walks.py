"""Named walks through a recorded pass: back to where values came from, on to who reads them."""

from collections.abc import Callable, Iterator

from skipstone.core.graph import Graph, Node
from skipstone.graphs.roles import SAME_VALUES, TRANSPARENT


def back(graph: Graph, index: int, passes: Callable[[Node], bool]) -> int:
    """Back along first inputs over the nodes that `passes` accepts."""
    while graph[index].kind == "op" and graph[index].inputs and passes(graph[index]):
        index = graph[index].inputs[0]
    return index


def same_values(graph: Graph, index: int) -> int:
    """The node whose very values, in their order, a node has."""
    return back(graph, index, lambda node: node.op in SAME_VALUES)


def readers(graph: Graph, index: int, passes: frozenset[str] = TRANSPARENT) -> Iterator[Node]:
    """The operations that read a node's values, behind those in `passes`; what passes and is read by none is listed."""
    pending, seen = list(graph.users[index]), {index}
    while pending:
        user = pending.pop(0)
        if user in seen:
            continue
        seen.add(user)
        if graph[user].op in passes and graph.users[user]:
            pending.extend(graph.users[user])
        else:
            yield graph[user]


def sources(graph: Graph, index: int, through: Callable[[Node], bool]) -> Iterator[Node]:
    """The node and all that it was made of, nearest first, back to those that `through` stops at (they are listed)."""
    pending, seen = [index], {index}
    while pending:
        node = graph[pending.pop(0)]
        yield node
        if node.kind == "op" and through(node):
            fresh = [i for i in dict.fromkeys(node.inputs) if i not in seen]
            seen.update(fresh)
            pending.extend(fresh)


def results(graph: Graph, node: Node) -> Iterator[Node]:
    """Every result of the call that made a node (`chunk` has several), in order."""
    first = node.index - node.output
    while first < len(graph) and graph[first].op == node.op and graph[first].output == first - node.index + node.output:
        yield graph[first]
        first += 1
