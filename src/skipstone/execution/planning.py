"""Can the network be really run, and at which size: what the record's multiply-adds, the weights and the budget say."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import nn

from skipstone.core.errors import SkipstoneError
from skipstone.core.graph import Graph
from skipstone.execution.copying import CopyError, copied
from skipstone.execution.inputs import InputsError, real_inputs
from skipstone.graphs.costs import cost, uncounted
from skipstone.tracing import Example, trace
from skipstone.tracing.example import resized
from skipstone.tracing.fakes import own_precision
from skipstone.tracing.nests import tensors_in
from skipstone.tracing.randomness import alone

Run = Literal["auto"] | bool

# Multiply-adds a second, and seconds an operation takes at least, of a slow core.
_RATE, _OVERHEAD = 5e9, 3e-5
_COPIED, _SETTING_UP = 2e9, 2e-3  # bytes a second; seconds of a pass before anything runs
_PASSES = 6  # a forward pass and a backward one, which costs two, in the model's own mode; three in evaluation
_SLOW = 8  # how much longer half precision takes without a kernel of its own
_SMALL = (64, 32)  # places along an axis that are tried where the size asked for is too much
_BATCH = 2
_RANDOM = ("rand", "dropout", "normal", "bernoulli", "multinomial", "uniform", "exponential", "rrelu", "opaque")
_PATIENCE = 10  # times the budget: how far the estimate of the time may be wrong before the passes are cut off
_SHARE = 0.5  # of the memory that is free


@dataclass(frozen=True, slots=True)
class NotRun:
    """Why the network is not run, in words; `asked`: that it should not be was asked for."""

    reason: str
    asked: bool = False

    def __str__(self) -> str:
        return "" if self.asked else f"not run: {self.reason}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: the example asked for or a smaller one, with its record. `seconds`: when the passes are cut off."""

    example: Example
    graph: Graph
    as_asked: bool
    seconds: float

    def __str__(self) -> str:
        """`2 x 3x16x16`: the samples and what each is; inputs of other first axes by their whole shape."""
        return " and ".join(dict.fromkeys(_words(self.graph[i].shape) for i in self.graph.inputs))


def _words(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {'x'.join(map(str, shape[1:]))}" if len(shape) > 1 else "x".join(map(str, shape)) or "1"


def plan(model: nn.Module, example: Example, graph: Graph, *, run: Run = "auto", budget: float = 0.5) -> Plan | NotRun:
    """Whether and how to run a model, from the record of its pass.

    Args:
        run: "auto" runs it where all passes fit `budget` (seconds), at a smaller size if need be; True at the size
            asked for, however long that takes; False does not.

    Raises:
        SkipstoneError: `run` or `budget` is none of these.
    """
    if run not in ("auto", True, False):
        raise SkipstoneError(f"run is {run!r}; it must be 'auto', True or False")
    if not budget > 0:
        raise SkipstoneError(f"budget is {budget!r}; it must be a number of seconds, more than 0")
    if run is False:
        return NotRun("not asked for", asked=True)
    reason = _obstacle(model, example, graph)
    if reason is not None:
        return NotRun(reason)
    if run is True:
        return Plan(example, graph, True, seconds=float("inf"))
    if draws(graph) and not alone():
        return NotRun("it draws random numbers, as another thread may at the same time (--run to do it)")
    seconds = _seconds(model, graph)
    if seconds <= budget:
        return Plan(example, graph, True, seconds=_PATIENCE * budget)
    for smaller, share in _smaller(example, graph):
        if seconds * share <= budget:
            record = trace(model, smaller, rivals=False)
            if record.stopped is None and not record.failures and _seconds(model, record) <= budget:
                return Plan(smaller, record, False, seconds=_PATIENCE * budget)
    return NotRun(f"{_giga(cost(graph).macs)} (--run to do it)")


def draws(graph: Graph) -> bool:
    """Does it draw from torch's own random numbers? They are the process's: a run's are missing in another thread."""
    return any(
        any(word in node.op for word in _RANDOM) and node.arguments.get("training") is not False
        for node in graph
        if node.kind == "op"
    )


def _giga(macs: int) -> str:
    return f"{macs / 1e9:.3g} GMACs" if macs >= 1e8 else f"{macs / 1e6:.3g} MMACs"


def _obstacle(model: nn.Module, example: Example, graph: Graph) -> str | None:
    """What stands in the way of any run."""
    state = [*model.parameters(), *model.buffers()]
    if any(tensor.is_meta for tensor in state):
        return "its weights are on the meta device"
    weights = sum(tensor.nbytes for tensor in state if not nn.parameter.is_lazy(tensor))
    needed, free = 2 * weights + 2 * cost(graph).activation_bytes, _free_memory()
    if free is not None and needed > _SHARE * free:
        return f"it needs {needed / 2**30:.1f} GiB, with {free / 2**30:.1f} GiB free"
    try:
        real_inputs(example, graph, model, seed=0)
        copied(model)
    except (InputsError, CopyError) as error:
        return str(error)
    return None


def _free_memory() -> int | None:
    """Bytes of memory that are free, None where the system does not tell."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _seconds(model: nn.Module, graph: Graph) -> float:
    """How long all passes will take."""
    weight = own_precision(model)
    half = weight is not None and weight.dtype in (torch.float16, torch.bfloat16) and weight.device.type == "cpu"
    products = cost(graph).macs + sum(_at_most(graph, node.index) for node in uncounted(graph))
    return _PASSES * (products * (_SLOW if half else 1) / _RATE + len(graph) * _OVERHEAD)


def forward_seconds(model: nn.Module, graph: Graph) -> float | None:
    """How long a copy and one forward pass of it will take; None where there is no memory for them."""
    weights = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    free = _free_memory()
    if free is not None and weights + 2 * cost(graph).activation_bytes > _SHARE * free:
        return None
    return _seconds(model, graph) / _PASSES + weights / _COPIED + _SETTING_UP


def _at_most(graph: Graph, index: int) -> int:
    """The multiply-adds of an operation without a formula: every weight once for each vector it reads."""
    node = graph[index]
    weights = sum(prod(graph[i].shape) for i in node.inputs if graph[i].kind == "parameter")
    return weights * prod(graph[node.inputs[0]].shape[:-1]) if node.inputs else 0


def _smaller(example: Example, graph: Graph) -> Iterator[tuple[Example, float]]:
    """Smaller examples, the largest first, each with its share of the places that the one asked for has."""
    shapes = [tuple(tensor.shape) for tensor in tensors_in((example.args, dict(example.kwargs)))]
    if not shapes or not shapes[0]:
        return
    batch = shapes[0][0]
    share = 1.0
    if batch > _BATCH:
        example, share = resized(example, lambda shape: (_BATCH, *shape[1:]), every=True), _BATCH / batch
        yield example, share
    places = shapes[0][2:]
    if len(places) < 2:
        return
    for most in _SMALL:
        if max(places) > most:
            yield resized(example, _shrunk(places, most), every=True), share * prod(min(most / s, 1) for s in places)


def _shrunk(places: tuple[int, ...], most: int) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    """Changes shapes whose last axes are these places: none of them larger than `most`."""

    def change(shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[: -len(places)], *(min(most, s) for s in places)) if shape[-len(places) :] == places else shape

    return change
