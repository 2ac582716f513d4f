"""Repairs of an unpooling that gives another size than its pooling took: the size is passed at each call."""

from collections.abc import Iterator
from dataclasses import replace

from skipstone.checks.rule import Proposal
from skipstone.checks.subject import Subject
from skipstone.core.edit import SetArgument, Site
from skipstone.core.graph import Graph, Node
from skipstone.sizes.unseen import before_pooling
from skipstone.surgery import SurgeryError, site_of, site_of_call

UNPOOL = frozenset(f"max_unpool{n}d" for n in (1, 2, 3))


def sized(subject: Subject) -> Iterator[Proposal]:
    """`output_size` for every unpooling that rounds otherwise than the pooling whose indices it takes.

    A pad or a crop behind it would leave indices that point outside the map.
    """
    graph = subject.graph
    edits, names = [], []
    for node in graph:
        before = before_pooling(graph.nodes, node)
        if before is None or before.shape[2:] == node.shape[2:]:
            continue
        size = before.shape[2:]
        try:
            edits.append(SetArgument(_site(graph, node), "output_size", list(size)))
        except SurgeryError:
            return
        names.append(f"{node.module or node.op}(..., output_size={list(size)})")
    if edits:
        effect = "each value returns to where it was; at another input size pass .shape of the map before its pooling"
        yield Proposal(", ".join(dict.fromkeys(names)), tuple(edits), effect)


def _site(graph: Graph, node: Node) -> Site:
    """Where the network calls the unpooling, which one module may do at several sizes."""
    call = graph.calls[node.call] if node.call >= 0 else None
    info = graph.modules.get(node.module)
    is_layer = info is not None and info.module.startswith("torch.nn.modules")
    site = site_of_call(graph, call) if call is not None and is_layer else site_of(graph, node.index)
    # A record that stopped has not seen how often the line runs: each run has a size of its own.
    return replace(site, occurrence=site.occurrence or 0) if graph.stopped is not None else site
