"""Long chain: many layers in a row without a skip connection.

What it finds:
    More than 30 layers in series between which no skip connection or branch meets.
Why it matters:
    Plain networks of that depth train worse than shallower ones, even with batch norm: the gradient explodes or
    vanishes at the start and training error rises with depth. Measure it before believing it:
    `skipstone flow TARGET --input 3x32x32`, or `skipstone.gradient_flow(model, (images, labels))`.
Example:
    A plain network of 56 layers on CIFAR-10.
Repair:
    A skip connection around every two or three layers.
Effect of the repair:
    No parameters where shapes stay; another function.
References:
    He et al. 2015, 1512.03385, section 1 and figure 1 (56 plain layers train worse than 20).
"""

from collections.abc import Iterator

from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject

RULE = Rule("SK305", "long-chain", "note", "many layers in a row without a skip connection")
LONGEST = 30


def check(subject: Subject) -> Iterator[Fault]:
    graph, ancestry = subject.graph, subject.ancestry
    if graph.stopped is not None or graph.failures:
        return
    meets = {skip.merge_node for skip in subject.skips if skip.is_block_skip or skip.kind == "parallel"}
    length: list[int] = []
    start: list[int] = []
    for node in graph:
        before = max((i for i in node.inputs if ancestry.active[i]), key=length.__getitem__, default=None)
        if before is None or node.index in meets:
            length.append(0)
            start.append(node.index)
        else:
            length.append(length[before] + ancestry.layers[node.index])
            start.append(start[before])
    end = max(range(len(graph)), key=length.__getitem__, default=0)
    if length and length[end] > LONGEST:
        first = next(i for i in range(start[end], end + 1) if ancestry.layers[i] and ancestry.leads_to(i, end))
        last = next(i for i in range(end, -1, -1) if ancestry.layers[i] and ancestry.leads_to(i, end))
        names = f" from {graph[first].module or graph[first].op} to {graph[last].module or graph[last].op}"
        message = f"{length[end]} layers in a row without a skip connection,{names}"
        shapes = (graph[first].shape, graph[last].shape)
        yield Fault(at(graph[first], module=""), message, shapes)
