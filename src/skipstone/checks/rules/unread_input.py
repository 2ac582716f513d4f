"""Unread input: nothing reads one of two inputs alike, and the other goes through the same layer twice.

What it finds:
    An input that no operation reads, beside another of its shape and dtype which a layer is given a second time: the
    same layer, the same tensor. An input that is merely unused is left alone.
Why it matters:
    A siamese or two-stream network compares a sample with itself. It trains, its loss may even be zero.
Example:
    `return self.distance(self.embed(a), self.embed(a))` in `forward(self, a, b)`.
Repair:
    None is proposed: give the second call the other input.
Effect of the repair:
    The network sees both inputs; what was trained before has seen one.
References:
    Bromley et al. 1993, Signature Verification using a "Siamese" Time Delay Neural Network.
"""

from collections.abc import Iterator

from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node, NodeRef, shape_text

RULE = Rule("SK224", "unread-input", "warning", "one of two inputs is read by nothing, the other twice")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    used = {i for node in graph for i in node.inputs} | set(graph.outputs)
    for unread in graph.inputs:
        if unread in used:
            continue
        twins = [graph[i] for i in graph.inputs if i in used and graph[i].spec == graph[unread].spec]
        for twin in twins:
            again = _second_call(graph, twin.index)
            if again is not None:
                layer = again.module or again.op
                name, other = graph[unread].name, twin.name
                message = f"nothing reads {name}, {shape_text(twin.shape)}, and {layer} is given {other} twice"
                yield Fault(at(again), message, (twin.shape, twin.shape))
                break


def _second_call(graph: Graph, source: int) -> Node | None:
    """The first layer that computes from `source` what it has computed before."""
    numbers: dict[object, int] = {}
    number_of: dict[int, int] = {}
    reached = {source}
    for node in graph:
        computed = (node.op, node.output, tuple(number_of[i] for i in node.inputs), _settings(node))
        key = computed if node.kind == "op" else node.index
        number_of[node.index] = numbers.setdefault(key, node.index)
        if reached.isdisjoint(node.inputs):
            continue
        reached.add(node.index)
        if number_of[node.index] != node.index and any(graph[i].kind == "parameter" for i in node.inputs):
            return node
    return None


def _settings(node: Node) -> str:
    return str([(name, value) for name, value in node.arguments.items() if not isinstance(value, NodeRef)])
