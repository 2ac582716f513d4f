"""One pass at many sizes, or at one: does the network run there, and which broadcasts does it rest on?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skipstone.core.errors import text_of
from skipstone.core.graph import Graph, Node, TensorSpec
from skipstone.graphs.axes import axes_of
from skipstone.graphs.broadcast import is_pooled_gate, merge_operands, suspects, value_inputs
from skipstone.sizes.allowance import Allowance
from skipstone.sizes.known import with_rule
from skipstone.sizes.request import Request
from skipstone.sizes.unseen import unseen_refusals
from skipstone.sizes.vector import Sweep, values_of
from skipstone.tracing.clone import FakeClone
from skipstone.tracing.deadline import OutOfTime
from skipstone.tracing.refusals import STOP, Refusals
from skipstone.tracing.session import run
from skipstone.tracing.torch_internals import FakeTensor

Mask = NDArray[np.bool_]
_SWIFT = Refusals(go_on=False, judge=with_rule)


@dataclass(frozen=True)
class Outcome:
    """How a pass ended: the points it speaks for, whether the network runs there, where it rests on a broadcast.

    `failed` holds the points that its checks refused on the way, a mask for each check, with the words where they are
    known; `steps` counts its operations.
    """

    covers: Mask
    runs: bool
    broadcast: Mask
    failed: tuple[tuple[Mask, str], ...] = ()
    reason: str = ""
    steps: int = 0


def sweep_pass(model: nn.Module, request: Request, sweep: Sweep, allowance: Allowance) -> Outcome:
    """Run `model` once with every free axis standing for all points of the sweep.

    Raises:
        OutOfTime: it does not end.
    """
    nodes, inputs, error = _record(model, request, sweep.symbol, _SWIFT, allowance, points=len(sweep.alive))
    if error is not None:
        # An uncertain point might have been spared the refusal: it is passed again.
        failed = [(mask, "") for mask in sweep.failed]
        return Outcome(
            sweep.alive & ~sweep.uncertain, False, np.zeros_like(sweep.alive), tuple(failed), error, len(nodes)
        )
    failed = [(mask, "") for mask in sweep.failed]
    for beyond, words in unseen_refusals(nodes, len(sweep.alive)):
        failed.append((sweep.alive & beyond, words))
        sweep.alive &= ~beyond
    graph = _at_focus(nodes, inputs, sweep)
    broadcast = sweep.alive & _broadcast_points(graph, nodes, sweep)
    return Outcome(sweep.alive, True, broadcast, tuple(failed), steps=len(nodes))


def single_pass(
    model: nn.Module, request: Request, sizes: Mapping[str, int], allowance: Allowance
) -> tuple[Graph, str | None]:
    """Run `model` once at one size: the record as far as it goes, and why torch refused, None where it did not.

    Raises:
        OutOfTime: it does not end.
    """
    nodes, inputs, error = _record(model, request, sizes.__getitem__, STOP, allowance)
    if error is None:
        error = next((reason for _, reason in unseen_refusals(nodes, 1)), None)
    return _graph(nodes, inputs), error


def _record(
    model: nn.Module,
    request: Request,
    size: Callable[[str], int | torch.SymInt],
    refusals: Refusals,
    allowance: Allowance,
    points: int = 0,
) -> tuple[list[Node], tuple[int, ...], str | None]:
    """`points`: how many the sizes stand for; none where they are numbers."""

    def arguments(clone: FakeClone) -> tuple[tuple[object, ...], Mapping[str, object]]:
        def make(tensor: torch.Tensor, shape: Sequence[int | torch.SymInt]) -> torch.Tensor:
            twin = clone.input(tensor)
            if not any(isinstance(s, torch.SymInt) for s in shape) and tuple(shape) == tuple(twin.shape):
                return twin
            return FakeTensor(clone.fake, torch.empty(tuple(shape), dtype=twin.dtype, device="meta"), twin.device)

        return request.build(size, make)

    limit = allowance.for_a_pass
    done = run(model, arguments, refusals=refusals, symbolic=points > 0, gradients=False, seconds=limit)
    allowance.spend(len(done.recorder.nodes), points)
    if isinstance(done.error, OutOfTime):
        raise done.error
    return done.recorder.nodes, done.inputs, None if done.error is None else _reason(done.error)


def _reason(error: BaseException) -> str:
    """Whatever forward raises makes the size illegal, and is told."""
    return f"{type(error).__name__}: {(text_of(error).splitlines() or [''])[0]}"


def _graph(nodes: Sequence[Node], inputs: tuple[int, ...]) -> Graph:
    return Graph(tuple(nodes), inputs, (), {}, ())


def _at_focus(nodes: Sequence[Node], inputs: tuple[int, ...], sweep: Sweep) -> Graph:
    """The record with every size as at the focus."""
    return _graph(
        [
            replace(node, spec=TensorSpec(_fixed(node.spec.shape), node.spec.dtype), arguments=_fixed(node.arguments))
            for node in nodes
        ],
        inputs,
    )


def _fixed(value: Any) -> Any:
    if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return value.node.hint
    if type(value) is tuple:
        return tuple(map(_fixed, value))
    if isinstance(value, Mapping):
        return {key: _fixed(item) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(_fixed(value.start), _fixed(value.stop), _fixed(value.step))
    return value


def _broadcast_points(graph: Graph, nodes: Sequence[Node], sweep: Sweep) -> Mask:
    axes, values = axes_of(graph), value_inputs(graph)
    found = np.zeros_like(sweep.alive)
    for node in graph:
        operands = merge_operands(graph, node)
        if operands is None:
            continue
        suspected = suspects(graph, node, axes, values)
        if suspected is None:
            return np.ones_like(found)
        for s in suspected:
            found |= _apart(nodes[s.small].spec.shape[s.position], nodes[s.large].spec.shape[s.position], len(found))
        for small, large in (operands, operands[::-1]):
            if not is_pooled_gate(graph, node, small, axes):
                found |= _stretched(nodes[small].spec.shape, nodes[large].spec.shape, len(found))
    return found


def _stretched(small: Sequence[object], large: Sequence[object], count: int) -> Mask:
    """The points where a size of `small` is 1 and is stretched, although it is not 1 at every point."""
    found = np.zeros(count, dtype=np.bool_)
    for one, size in zip(reversed(small), reversed(large), strict=False):
        if one is not size and not isinstance(one, int) and not (values_of(one, count) == 1).all():
            found |= _apart(one, size, count)
    return found


def _apart(one: object, size: object, count: int) -> Mask:
    """The points where the first size is 1 and the second is not."""
    return np.equal(values_of(one, count), 1) & np.not_equal(values_of(size, count), 1)
