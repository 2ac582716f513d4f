"""Skips tried where a gradient vanishes or explodes: put in as `connect` does, measured on the same batch."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from skipstone import surgery
from skipstone.core.edit import Connect
from skipstone.core.errors import SkipstoneError
from skipstone.core.graph import Graph
from skipstone.flow.measure import Arguments, flow_of
from skipstone.runs.flow import FlowRecord
from skipstone.runs.flow.verdicts import depth_series
from skipstone.tracing import trace

_EVERY = 2  # layers that a skip jumps over, as in He et al. 2015, 1512.03385, figure 2


@dataclass(frozen=True, slots=True)
class Trial:
    """Skips that were tried on a copy, and the gradient's first norm over its last before and with them."""

    skips: tuple[tuple[str, str], ...]
    before: float
    after: float
    record: FlowRecord

    def __str__(self) -> str:
        source, target = self.skips[0]
        more = f" and {len(self.skips) - 1} more like it" if len(self.skips) > 1 else ""
        return (
            f"tried on the same batch: a skip from {source} to {target}{more} (identity, added): the gradient at the "
            f"first layer is then {self.after:.3g} times that at the last, where it was {self.before:.3g}"
        )


def try_skips(
    model: nn.Module, arguments: Arguments, loss: Callable[[Any], Tensor], record: FlowRecord
) -> Trial | None:
    """Identity skips over every two layers of equal output shape, put into a copy and measured on the same batch.

    Each starts at a layer's output before its activation, as in pre-activation (He et al. 2016, 1603.05027). None where
    no such pair exists, or the skips cannot be put in. Costs a forward and a backward pass.
    """
    args, kwargs = arguments
    graph = trace(model, dict(kwargs) if kwargs else args)
    pairs = tuple(_pairs(graph, [layer.name for layer, _ in depth_series(record)]))
    if not pairs:
        return None
    try:
        edited = surgery.apply(model, [Connect(source, target, "add") for source, target in pairs])
        after = flow_of(edited, arguments, loss)
    except SkipstoneError:
        return None
    return Trial(pairs, _ratio(record), _ratio(after), after)


def _pairs(graph: Graph, names: list[str]) -> Iterator[tuple[str, str]]:
    """(source, target) over every two layers of one stretch with equal output shapes, each layer called once."""
    shapes: dict[str, tuple[int, ...]] = {}
    for call in graph.calls:
        if call.outputs:
            shapes[call.path] = () if call.path in shapes else graph[call.outputs[0]].shape
    k = 0
    while k + _EVERY < len(names):
        source, target = names[k], names[k + _EVERY]
        if shapes.get(source) and shapes[source] == shapes.get(target):
            yield source, target
            k += _EVERY
        else:
            k += 1


def _ratio(record: FlowRecord) -> float:
    series = depth_series(record)
    return series[0][1] / series[-1][1] if series and series[-1][1] else float("nan")
