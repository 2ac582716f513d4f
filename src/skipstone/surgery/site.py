"""Recorded node -> the call in the source that made it."""

from dataclasses import replace

from torch import nn

from skipstone.core.edit import Site
from skipstone.core.graph import Graph, ModuleCall
from skipstone.surgery.errors import SurgeryError
from skipstone.surgery.live.edited import base_class
from skipstone.surgery.live.locate import locate


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


def site_of_call(graph: Graph, call: ModuleCall) -> Site:
    """Where a module was called: in the forward of the module around it, or in what that calls.

    Where the place ran once in that forward, the site means every run.

    Raises:
        SurgeryError: the network's own call, or one whose place is not known.
    """
    if call.parent < 0 or call.site is None:
        raise SurgeryError(f"{call.path or 'the model'} is called from no forward of the network's")
    runs = [other.index for other in graph.calls if other.site == call.site and other.parent == call.parent]
    occurrence = runs.index(call.index) if len(runs) > 1 else None
    return Site(graph.calls[call.parent].path, call.site, "call", occurrence)


def alike(model: nn.Module, site: Site) -> tuple[Site, ...]:
    """The same place in every module whose own class runs it, the site's module first.

    A container of torch's runs its one line for layers of all kinds: there it is the one site alone.
    """
    named = dict(model.named_modules())
    if base_class(named[site.module]).__module__.startswith("torch."):
        return (site,)
    others = (path for path, module in named.items() if path != site.module and locate(base_class(module), site.place))
    return (site, *(replace(site, module=path) for path in others))
