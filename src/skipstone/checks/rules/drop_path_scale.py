"""Drop-path scale: stochastic depth that never rescales.

What it finds:
    A residual whose branch is dropped by chance in training, where neither training divides by the probability to
    keep it nor evaluation multiplies by it.
Why it matters:
    In evaluation every branch is larger than what training has shown the layers behind it.
Example:
    `x + self.body(x) * mask` in training, `x + self.body(x)` in evaluation.
Repair:
    Divide by the probability to keep (`mask / keep`) in training.
Effect of the repair:
    The branch's expectation is the same in training and evaluation; trained weights were fitted without.
References:
    Huang et al. 2016, Deep Networks with Stochastic Depth, 1603.09382, equation 5 (scaled in evaluation).
"""

from collections.abc import Iterator

from skipstone.checks.around import merge_around, met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip
from skipstone.graphs.roles import TRANSPARENT
from skipstone.graphs.sample_axis import random_factor

RULE = Rule("SK217", "drop-path-scale", "warning", "stochastic depth never rescales")


def check(subject: Subject) -> Iterator[Fault]:
    graph = subject.graph
    for node in graph:
        mask = random_factor(subject, node)
        if mask is None or any(size > 1 for size in graph[mask].shape[1:]) or _always_kept(graph, mask):
            continue
        skip = merge_around(subject, node.index)
        if skip is None or node.index not in skip.main or _scaled(graph, mask) or _branch_scaled(graph, skip):
            continue
        if not subject.training or _scaled_in_evaluation(subject, graph[skip.merge_node]):
            continue
        merge = graph[skip.merge_node]
        message = "the branch is dropped by chance but never rescaled: evaluation adds more than training has shown"
        yield Fault(at(merge), message, met(graph, merge))


def _numbers(node: Node) -> list[float]:
    return [
        v for k, v in node.arguments.items() if k != "input" and isinstance(v, int | float) and not isinstance(v, bool)
    ]


def _always_kept(graph: Graph, mask: int) -> bool:
    """Is the probability to keep 1?"""
    index = mask
    while graph[index].kind == "op":
        if graph[index].op == "bernoulli" and 1 in _numbers(graph[index]):
            return True
        if not graph[index].inputs:
            return False
        index = graph[index].inputs[0]
    return False


def _scaled(graph: Graph, mask: int) -> bool:
    """Was the mask divided by something?"""
    index = mask
    while graph[index].kind == "op" and graph[index].inputs:
        if graph[index].op in ("div", "mul"):
            return True
        index = graph[index].inputs[0]
    return False


def _branch_scaled(graph: Graph, skip: Skip) -> bool:
    """Is there another factor on the branch, between its last layer and the sum?"""
    factors = 0
    for index in reversed(skip.main):
        if graph[index].op in ("mul", "div"):
            factors += 1
        elif graph[index].op not in TRANSPARENT:
            break
    return factors > 1


def _scaled_in_evaluation(subject: Subject, merge: Node) -> bool:
    """Is the branch weighed in evaluation instead, as stochastic depth was published (1603.09382, equation 5)?"""
    evaluated = subject.in_mode(False)
    twins = [n for n in evaluated if n.op == merge.op and n.place == merge.place and n.module == merge.module]
    if not twins:
        return True  # another way through the code: not to be compared
    for twin in twins:
        for index in twin.inputs:
            while evaluated[index].kind == "op" and evaluated[index].op in TRANSPARENT:
                index = evaluated[index].inputs[0]
            if evaluated[index].op in ("mul", "div"):
                return True
    return False
