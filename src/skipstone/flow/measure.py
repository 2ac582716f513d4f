"""Gradient flow of any network on one batch: what reaches each layer, what each skip contributes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.core.errors import SkipstoneError
from skipstone.core.graph import Graph
from skipstone.execution.copying import CopyError, RealClone, copied
from skipstone.flow.probe import Probe
from skipstone.flow.skips import SkipProbe
from skipstone.graphs.ancestry import Ancestry
from skipstone.runs.flow import FlowRecord
from skipstone.skips.find import skips_of
from skipstone.tracing import trace
from skipstone.tracing.deadline import call_foreign
from skipstone.tracing.example import Example
from skipstone.tracing.nests import map_tensors, tensors_in
from skipstone.tracing.randomness import real_numbers_kept
from skipstone.tracing.session import undisturbed

Loss = Callable[[Any, Any], Tensor]
MakeOptimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Arguments = tuple[tuple[object, ...], Mapping[str, object]]


def gradient_flow(
    model: nn.Module,
    batch: tuple[object, object],
    loss: Loss = F.cross_entropy,
    *,
    optimizer: MakeOptimizer | None = None,
    skips: bool = False,
) -> FlowRecord:
    """What one batch sends back to each layer, in the model's present mode; print the result for what it means.

    Args:
        batch: (inputs, targets); inputs may be a tensor, a tuple of positional or a mapping of keyword arguments.
        loss: `loss(outputs, targets)` must be a scalar.
        optimizer: makes an optimizer of the copy's parameters (`lambda p: torch.optim.SGD(p, lr=0.1)`); one step of
            it is taken, and what really changed is measured.
        skips: measure what each skip contributes as well: a record of the pass, and about one more backward pass.

    A copy is run: the model and the random state are left as they were.

    Raises:
        SkipstoneError: the loss is not a scalar, or no parameter has a part in it; the model cannot be copied.
    """
    inputs, targets = batch
    return flow_of(model, arguments_of(inputs), lambda output: loss(output, targets), optimizer=optimizer, skips=skips)


def flow_of(
    model: nn.Module,
    arguments: Arguments,
    loss: Callable[[Any], Tensor],
    *,
    optimizer: MakeOptimizer | None = None,
    skips: bool = False,
) -> FlowRecord:
    """The same for arguments as the model takes them and a loss of its output alone."""
    with undisturbed(model), real_numbers_kept(), torch.enable_grad():
        clone = _copied(model)
        notes: list[str] = []
        looking = _skip_probe(model, clone, arguments, notes) if skips else None
        losses: list[Tensor] = []

        def send_back(output: Any) -> None:
            losses.append(loss(output))
            _demand_scalar(losses[0])
            losses[0].backward(retain_graph=looking is not None)  # type: ignore[no-untyped-call]

        probe = there_and_back(clone, arguments, send_back, looking)
        found = looking.flows() if looking else ()
        if optimizer is not None:
            stepper = optimizer([p for p in clone.model.parameters() if p.requires_grad])
            with probe.change():
                stepper.step()
        return replace(probe.record(), skips=found, loss=float(losses[0].detach()), notes=tuple(notes))


def there_and_back(
    clone: RealClone,
    arguments: Arguments,
    send_back: Callable[[Any], None],
    looking: SkipProbe | None = None,
    around: AbstractContextManager[None] | None = None,
) -> Probe:
    """A forward and a backward pass of a copy, on which it is left alone; the probe has what it needs for a record.

    `send_back(output)` begins the backward pass, and keeps the graph where one is `looking`; the forward pass is made
    within `around`.
    """
    args, kwargs = _followed(arguments, looking) if looking else arguments
    probe = Probe(clone.model)
    with probe.outputs():  # until the backward pass is over: a reentrant checkpoint runs its part there
        with looking.following() if looking else nullcontext(), around or nullcontext():
            output = call_foreign(clone.model, *args, **kwargs)
        send_back(output)
    probe.gradients()
    probe.stop_listening()
    return probe


def recorded(model: nn.Module, arguments: Arguments) -> Graph:
    """The record of a network called with these arguments."""
    args, kwargs = arguments
    return trace(model, Example(tuple(args), dict(kwargs)))


def arguments_of(inputs: object) -> Arguments:
    """What a model is called with for inputs as `gradient_flow` takes them."""
    if isinstance(inputs, Mapping):
        return (), inputs
    return (tuple(inputs), {}) if isinstance(inputs, tuple | list) else ((inputs,), {})


def _copied(model: nn.Module) -> RealClone:
    """What is run in the model's place: a pass may write to whatever the model holds."""
    try:
        return copied(model)
    except CopyError as error:
        raise SkipstoneError(f"{type(model).__name__} cannot be copied: {error}") from error


def _skip_probe(model: nn.Module, clone: RealClone, arguments: Arguments, notes: list[str]) -> SkipProbe | None:
    graph = recorded(model, arguments)
    if graph.stopped is not None:
        notes.append(f"the skips: the record {graph.stopped}")
        return None
    return SkipProbe(clone, graph, skips_of(graph, Ancestry(graph)))


def _followed(arguments: Arguments, looking: SkipProbe) -> Arguments:
    """The arguments with gradients that reach them: a skip may start there. No leaves, so they may be overwritten."""

    def follow(tensor: Tensor) -> Tensor:
        floating = tensor.is_floating_point() or tensor.is_complex()
        return tensor.detach().requires_grad_().clone() if floating else tensor

    with torch.enable_grad():
        made: Any = map_tensors((tuple(arguments[0]), dict(arguments[1])), follow)
    looking.take_inputs(tensors_in(made))
    args, kwargs = made
    return args, kwargs


def _demand_scalar(value: Tensor) -> None:
    if value.ndim != 0:
        raise SkipstoneError(f"the loss has shape {tuple(value.shape)}, expected a scalar: take its mean or sum")
    if not value.requires_grad:
        raise SkipstoneError("the loss depends on no trainable parameter: is the network frozen, or under no_grad?")
