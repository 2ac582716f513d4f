"""Repairs of a layer that torch refuses for its number formats or its own settings, not for the sizes."""

from collections.abc import Iterator

from torch import nn

from skipstone.checks.rule import Fault, Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import MapOperand, ModuleSpec, SetAttributes, Transform
from skipstone.surgery import site_of

_FLOATS = ("float", "bfloat")


def accepted(subject: Subject, fault: Fault) -> Iterator[Proposal]:
    """The input cast to the weights' format; a stride that the output padding fits into."""
    yield from _cast(subject, fault.where.node)
    yield from _stride(subject, fault.where.node)


def _cast(subject: Subject, index: int) -> Iterator[Proposal]:
    graph = subject.graph
    node = graph[index]
    weights = [graph[i].spec.dtype for i in node.inputs[1:] if graph[i].kind == "parameter"]
    if not weights or node.kind != "op" or not weights[0].startswith(_FLOATS):
        return
    for operand, source in enumerate(node.inputs):
        if graph[source].kind != "parameter" and graph[source].spec.dtype != weights[0]:
            spec = ModuleSpec("skipstone.blocks.parts.casting:Cast", {"dtype": weights[0]})
            edit = MapOperand(site_of(graph, index), operand, Transform("module", spec), name="skipstone_cast")
            title = f"x.to(torch.{weights[0]}) before {node.module or node.op}"
            yield Proposal(title, (edit,), f"the layer gets the format of its weights, not {graph[source].spec.dtype}")
            return


def _stride(subject: Subject, index: int) -> Iterator[Proposal]:
    node = subject.graph[index]
    module = subject.model.get_submodule(node.module)
    if not isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return
    # The output padding makes up for what a stride rounds away: without a stride there is nothing to make up for.
    fitting = tuple(max(s, o + 1) for s, o in zip(module.stride, module.output_padding, strict=True))
    if fitting != module.stride:
        edit = SetAttributes(node.module, {"stride": fitting})
        yield Proposal(f"{node.module}: stride={fitting}", (edit,), "the map grows by it, as output padding expects")
