"""Needless projection: a projection on the shortcut where the identity would fit.

What it finds:
    A shortcut of one pointwise convolution or linear layer at stride 1 whose input has the shape of the branch's end.
Why it matters:
    The identity costs nothing and leaves the gradient its free way; published networks project where shapes change.
    Projecting everywhere (option C) is a design too, and no better by much. Where the branch went down and has come up
    again, a feature pyramid's lateral layer (1612.03144, section 3) makes one stream of two, and is left alone.
Example:
    `Conv2d(64, 64, 1)` on the shortcut of a block with 64 channels in and out.
Repair:
    The identity instead of the projection.
Effect of the repair:
    The projection's parameters and multiply-adds go; another function.
References:
    He et al. 2015, 1512.03385, table 3 (options B and C); He et al. 2016, 1603.05027, section 3.2 (1x1 shortcuts).
"""

from collections.abc import Iterator
from math import prod

from skipstone.checks.around import met
from skipstone.checks.rule import Fault, Rule, at
from skipstone.checks.subject import Subject
from skipstone.core.graph import Graph, Node
from skipstone.core.skip import Skip
from skipstone.graphs.operations import has_role
from skipstone.graphs.roles import CONV

RULE = Rule("SK302", "needless-projection", "note", "a projection on the shortcut where the identity would fit")


def check(subject: Subject) -> Iterator[Fault]:
    found = [skip for skip in subject.skips if _is_needless(subject, skip)]
    if not found:
        return
    graph = subject.graph
    merge = graph[found[0].merge_node]
    layers = [layer for skip in found for layer in skip.shortcut if subject.ancestry.layers[layer]]
    weights = {i for layer in layers for i in graph[layer].inputs if graph[i].kind == "parameter"}
    parameters = sum(prod(graph[i].shape) for i in weights)
    more = f" (and on {len(found) - 1} more)" if len(found) > 1 else ""
    message = (
        f"the shortcut is projected though its shape fits{more}: {parameters:,} parameters that the identity saves"
    )
    yield Fault(at(merge), message, met(graph, merge))


def _is_needless(subject: Subject, skip: Skip) -> bool:
    graph = subject.graph
    merge = graph[skip.merge_node]
    if skip.kind != "projection" or skip.merge != "add" or merge.tainted or skip.source_node < 0:
        return False
    layers = [graph[i] for i in skip.shortcut if subject.ancestry.layers[i]]
    shapes = {graph[skip.source_node].shape, *(graph[i].shape for i in skip.shortcut), *met(graph, merge)}
    if len(layers) != 1 or len(shapes) != 1 or layers[0].op not in CONV | {"linear"}:
        return False
    pointwise = set(graph[layers[0].inputs[1]].shape[2:]) == {1} or layers[0].op == "linear"
    # Beside a single layer a pointwise one is a branch to be folded into it (RepVGG, 2101.03697), not a shortcut.
    several = sum(subject.ancestry.layers[i] for i in skip.main) > 1
    return pointwise and several and not any(_grows(graph, graph[i]) for i in skip.main)


def _grows(graph: Graph, node: Node) -> bool:
    """Does an operation make a map (N, C, *places) of more places?"""
    if not has_role(node, "spatial", "conv", "apart"):
        return False
    return prod(node.shape[2:]) > prod(graph[node.inputs[0]].shape[2:]) > 0
