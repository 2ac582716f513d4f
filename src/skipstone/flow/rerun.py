"""A watched step's last forward pass, run again behind the step: the skips' numbers of the loop's own loss.

The network is copied when the loop calls it, with the arguments, the random state and the autocast setting of that
moment; hooks keep the gradients that the loop's loss sends to the outputs. The copy then makes the same pass and is
sent the same gradients, which takes no loss, and disturbs nothing of the loop's.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from skipstone.core.graph import Graph
from skipstone.execution.copying import CopyError, RealClone, copied
from skipstone.flow.measure import Arguments, recorded, there_and_back
from skipstone.flow.probe import Handle, Probe
from skipstone.flow.skips import SkipProbe
from skipstone.graphs.ancestry import Ancestry
from skipstone.runs.flow import SkipFlow
from skipstone.skips.find import skips_of
from skipstone.tracing.nests import map_leaves, map_tensors, tensors_in
from skipstone.tracing.randomness import Generators, real_numbers_kept
from skipstone.tracing.session import undisturbed

_AGREE = 0.01  # two passes over one batch agree to rounding


class NotHadError(Exception):
    """The skips' numbers cannot be had; the text says why."""


@dataclass
class _Call:
    """One call of the network by the loop, and what came back to its outputs."""

    number: int
    clone: RealClone
    arguments: Arguments
    generators: Generators
    autocast: tuple[tuple[str, torch.dtype], ...]
    outputs: int = 0
    gradients: dict[int, Tensor] = field(default_factory=dict)


class Rerun:
    """Hooks on a network that keep what a second pass needs; `skips()` then makes it."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._handles: list[Handle] = []
        self._graph: tuple[object, Graph] | None = None
        self._step = 0
        self.forget()

    def forget(self) -> None:
        """Begin a step: nothing is kept of the one before."""
        self._call: _Call | None = None  # the newest
        self._answered: _Call | None = None  # the newest that a gradient came back to
        self._why = "the network itself was not called; hand watch the module that the loop calls"
        self.calls = 0
        self._step += 1

    def attach(self) -> list[Handle]:
        """Hooks for the outputs. `keep` is for whoever knows when a step is due."""
        self._handles = [self._model.register_forward_hook(self._behind)]
        return self._handles

    def keep(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], hooks: Sequence[Handle]) -> None:
        """The loop calls the network; `hooks` are those of the watch, which the copy is to be without."""
        self.calls += 1
        self._call = None
        try:
            clone = copied(self._model, without=[*self._handles, *hooks])
        except CopyError as error:
            self._why = f"the network cannot be copied: {error}"
            return
        made: Any = map_tensors((args, dict(kwargs)), lambda tensor: tensor.detach().clone())
        self._call = _Call(self.calls, clone, made, Generators.now(), _autocast(self._model))
        self._why = "no gradient came back to what the network returned"

    def _behind(self, module: nn.Module, inputs: object, output: object) -> None:
        call = self._call
        if call is None or call.outputs or torch.compiler.is_compiling():
            return
        for place, tensor in enumerate(tensors_in(output)):
            call.outputs += 1
            if tensor.requires_grad:
                tensor.register_hook(self._arrived(self._step, call.number, place))  # type: ignore[no-untyped-call]

    def _arrived(self, step: int, number: int, place: int) -> Callable[[Tensor], None]:
        """Numbers in place of the call itself: the loop may hold its outputs, and with them this hook, for long."""

        def add(gradient: Tensor) -> None:
            call = next((c for c in (self._call, self._answered) if c is not None and c.number == number), None)
            if call is None or self._step != step:  # another call has taken its place, or the step is over
                return
            before = call.gradients.get(place)
            call.gradients[place] = gradient.detach().clone() if before is None else before + gradient
            self._answered = call

        return add

    def skips(self, scale: float, seen: Mapping[str, float]) -> tuple[SkipFlow, ...]:
        """What each skip contributed in the last call that a gradient came back to.

        The gradients are divided by `scale`. Where the network was called once, `seen` are the norms of the gradients
        at its layers' outputs in the loop's own backward pass, and have to be those of this pass.

        Raises:
            NotHadError: with the reason.
        """
        call, called = self._answered, self.calls
        why = self._why
        self.forget()
        if call is None:
            raise NotHadError(why)
        with undisturbed(call.clone.model), real_numbers_kept(), torch.enable_grad():
            probe, found = self._again(call)
        if called == 1:
            _demand_agreement(probe.output_norms(scale), seen)
        return tuple(_unscaled(flow, scale) for flow in found)

    def _again(self, call: _Call) -> tuple[Probe, tuple[SkipFlow, ...]]:
        with _as_it_was(call.autocast):
            graph = self._recorded(call)
        if graph.stopped is not None:
            raise NotHadError(f"the record {graph.stopped}")
        looking = SkipProbe(call.clone, graph, skips_of(graph, Ancestry(graph)))

        def send_back(output: object) -> None:
            outputs = tensors_in(output)
            pairs = [(outputs[place], gradient) for place, gradient in call.gradients.items() if place < len(outputs)]
            if len(outputs) != call.outputs or any(not out.requires_grad or out.shape != g.shape for out, g in pairs):
                raise NotHadError("a copy of the network returns something else on the same arguments")
            _send(pairs)

        call.generators.put_back()
        try:
            probe = there_and_back(call.clone, call.arguments, send_back, looking, _as_it_was(call.autocast))
        except NotHadError:
            raise
        except Exception as error:  # the network's own code, on a copy
            text = str(error).split("\n")[0]
            raise NotHadError(f"a copy of the network does not run: {type(error).__name__}: {text}") from error
        return probe, looking.flows()

    def _recorded(self, call: _Call) -> Graph:
        """The record of the call, made once for arguments and modes of one kind."""
        modes = tuple(module.training for module in call.clone.model.modules())
        kind = (map_leaves(call.arguments, Tensor, _kind_of), modes, call.autocast)
        if self._graph is None or self._graph[0] != kind:
            self._graph = kind, recorded(call.clone.model, call.arguments)
        return self._graph[1]


def _send(pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Send each output's gradient back, exactly: in place of whatever arrives there from another output.

    One output may be made of another, as a loss beside its logits: what came to the logits held the loss's part.
    """
    handles = [out.register_hook(lambda _, whole=whole: whole) for out, whole in pairs]  # type: ignore[no-untyped-call]
    for handle in handles:
        table = handle.hooks_dict_ref()
        later = {key: table.pop(key) for key in list(table) if key != handle.id}
        table.update(later)  # behind it: hooks that read what arrives
    torch.autograd.backward([out for out, _ in pairs], [torch.zeros_like(g) for _, g in pairs], retain_graph=True)
    for handle in handles:
        handle.remove()


def _kind_of(tensor: Tensor) -> object:
    return tensor.shape, tensor.dtype, tensor.device


def _demand_agreement(again: Mapping[str, float], seen: Mapping[str, float]) -> None:
    """The gradients at the layers' outputs are those of the loop, or more than the outputs has a part in its loss."""
    for name, theirs in seen.items():
        own = again.get(name, 0.0)
        if math.isfinite(own) and math.isfinite(theirs) and abs(own - theirs) > _AGREE * max(own, theirs):
            raise NotHadError(
                f"the gradient at {name} is {theirs:.3g} in the loop and {own:.3g} by way of what the network "
                "returns: something inside has a part in the loss, or two passes differ"
            )


def _unscaled(flow: SkipFlow, scale: float) -> SkipFlow:
    short, branch = (None if g is None else g / scale for g in (flow.shortcut_grad, flow.branch_grad))
    return replace(flow, shortcut_grad=short, branch_grad=branch)


def _autocast(model: nn.Module) -> tuple[tuple[str, torch.dtype], ...]:
    """The devices under autocast here, each with its dtype."""
    devices = {"cpu", *(parameter.device.type for parameter in model.parameters())} - {"meta"}
    return tuple((d, torch.get_autocast_dtype(d)) for d in sorted(devices) if torch.is_autocast_enabled(d))


@contextmanager
def _as_it_was(autocast: Sequence[tuple[str, torch.dtype]]) -> Iterator[None]:
    with ExitStack() as stack:
        for device, dtype in autocast:
            stack.enter_context(torch.autocast(device, dtype))
        yield
