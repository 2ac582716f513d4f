"""A probe on a network: what one training step does to each layer, read at three moments of that step."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from skipstone.flow.layers import find_layers
from skipstone.flow.norms import has_gradient, norm_of, read, underflow, underflows, values_of
from skipstone.runs.flow import FlowRecord, LayerFlow

Handle = torch.utils.hooks.RemovableHandle


class Probe:
    """Reads one step: `open()` before the forward pass, `gradients()` after the backward pass, `change()` around the
    optimizer's step, then `record()`.

    Outside these the network carries no hook and training costs what it always does. What is read stays on the
    network's device until `record()`, which waits for it once. `outputs` says whether the layers' outputs and the
    gradients that arrive there are watched too: a pass over every activation.
    """

    def __init__(self, model: nn.Module, *, outputs: bool = True) -> None:
        self.layers = find_layers(model)
        self.frozen = tuple(layer.name for layer in find_layers(model, frozen=True))
        self._watches_outputs = outputs
        self.handles: list[Handle] = []  # of the hooks that are on the network at present
        self._clear()

    def _clear(self) -> None:
        self._deaf = False
        self._squares: dict[int, Tensor] = {}
        self._sizes: dict[int, list[Tensor]] = {}
        self._under: dict[int, Tensor] = {}
        self._norms: dict[int, tuple[Tensor, Tensor]] = {}  # of a layer: its gradient's and its weight's
        self._updates: dict[int, Tensor] = {}
        self._counts: dict[int, Tensor] = {}  # of a weight: elements that stayed, with a gradient, both
        self._before: dict[int, tuple[Tensor, Tensor | None]] = {}

    # ---- the forward and the backward pass

    @contextmanager
    def outputs(self) -> Iterator[None]:
        """Watch the layers called in this block, and the gradients that arrive at their outputs."""
        self.open()
        try:
            yield
        finally:
            self.close()

    def open(self, *, outputs: bool = True, anew: bool = True) -> None:
        """Begin a step; with `anew` False a forward pass within one that has begun, as a closure's."""
        self.close()
        if anew:
            self._clear()
        if not (outputs and self._watches_outputs):
            return
        for index, layer in enumerate(self.layers):
            if layer.kind != "other":  # of other modules it is not known which output the weight made
                hook = self._on_output(index)
                self.handles += [module.register_forward_hook(hook) for module in layer.modules]

    def close(self) -> None:
        """Take the hooks off the network. Gradients of outputs already seen will still be read."""
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def output_norms(self, scale: float = 1.0) -> dict[str, float]:
        """The norm of the gradient that came back to each layer's output so far, divided by `scale`."""
        return {self.layers[index].name: float(square.sqrt()) / scale for index, square in self._squares.items()}

    def stop_listening(self) -> None:
        """Whatever goes back from here on (another pass over the same graph) is no part of the step."""
        self._deaf = True

    def _on_output(self, index: int) -> Callable[[nn.Module, object, object], None]:
        def add(gradient: Tensor) -> None:
            if self._deaf:
                return
            square = norm_of([gradient]).square()
            self._squares[index] = self._squares[index] + square if index in self._squares else square
            if underflows(gradient):
                self._under[index] = underflow(gradient)

        def on_output(module: nn.Module, inputs: object, output: object) -> None:
            if torch.compiler.is_compiling() or not isinstance(output, Tensor) or not output.requires_grad:
                return
            values = values_of(output)
            square = norm_of([values]).square() / max(1, values.numel())
            self._sizes.setdefault(index, []).append(square)
            output.register_hook(add)  # type: ignore[no-untyped-call]

        return on_output

    @property
    def went_back(self) -> bool:
        """Did a gradient arrive at an output since the step began?"""
        return bool(self._squares)

    @property
    def has_no_gradients(self) -> bool:
        """Has no weight a gradient at present?"""
        return all(layer.weight.grad is None for layer in self.layers)

    def gradients(self, only: Iterable[nn.Parameter] | None = None, *, scale: float = 1.0) -> None:
        """Read the weights' gradients, divided by `scale`, and the weights; call after the backward pass.

        Those of `only` alone, if given: the parameters of one optimizer of several.
        """
        self.close()
        chosen = self._chosen(only)
        grads = norm_of([self.layers[index].weight.grad for index in chosen]) / scale
        weights = norm_of([self.layers[index].weight for index in chosen])
        self._norms |= {index: (grads[k], weights[k]) for k, index in enumerate(chosen)}

    def _chosen(self, only: Iterable[nn.Parameter] | None) -> list[int]:
        wanted = None if only is None else set(map(id, only))
        return [k for k, layer in enumerate(self.layers) if wanted is None or id(layer.weight) in wanted]

    def reduce_outputs(self) -> None:
        """Add up the gradients at outputs over all ranks, of which each has the part of its own samples.

        The loss is the mean over ranks, whose gradients at outputs are 1 / ranks of what a rank by itself sees.
        """
        if not self._squares or not distributed.is_available() or not distributed.is_initialized():
            return
        ranks = distributed.get_world_size()
        for index in sorted(self._squares):
            square = self._squares[index].clone()
            distributed.all_reduce(square)
            self._squares[index] = square / ranks**2

    # ---- the optimizer's step

    @contextmanager
    def change(self) -> Iterator[None]:
        """Compare the weights before and after this block, which is to hold the optimizer's step."""
        self.before_step()
        yield
        self.after_step()

    def before_step(self, only: Iterable[nn.Parameter] | None = None, *, closure: bool = False) -> None:
        """Keep a copy of the weights; of those of `only` alone, if given.

        With `closure` the step makes its gradients itself, and they are read behind it.
        """
        for index in self._chosen(only):
            weight = self.layers[index].weight
            # A fused or user-made optimizer may write into .grad, so what counts is read now.
            meant = None if weight.grad is None or closure else has_gradient(weight.grad)
            self._before[index] = weight.detach().clone(), meant

    def after_step(self) -> None:
        """Read what the step did to the weights of `before_step`, and let their copies go."""
        changed = list(self._before)
        pairs = [(self._before[index], self.layers[index].weight.detach()) for index in changed]
        norms = norm_of([_difference(before, after) for (before, _), after in pairs])
        for place, (index, ((before, meant), after)) in enumerate(zip(changed, pairs, strict=True)):
            gradient = self.layers[index].weight.grad
            if meant is None and gradient is not None:
                meant = has_gradient(gradient)
            same = before == after
            counts = [same.sum(), *([] if meant is None else [meant.sum(), (meant & same).sum()])]
            self._counts[index] = torch.stack(counts)
            self._updates[index] = norms[place]
        self._before = {}

    # ---- what was read

    def record(self, *, epoch: int = 0, step: int = 0, output_scale: float = 1.0) -> FlowRecord:
        """What was read. The gradients at outputs are divided by `output_scale`."""
        missing = [layer.weight for index, layer in enumerate(self.layers) if index not in self._norms]
        if missing:
            self.gradients(missing)
        if not self.layers:
            return FlowRecord(epoch, step, (), frozen=self.frozen)
        columns = [torch.stack([self._norms[i][k].cpu() for i in range(len(self.layers))]) for k in (0, 1)]
        grads, weights = read(columns)
        rows = [self._row(i, g, w, output_scale) for i, (g, w) in enumerate(zip(grads, weights, strict=True))]
        return FlowRecord(epoch, step, tuple(rows), frozen=self.frozen)

    def _row(self, index: int, grad: float, weight: float, output_scale: float) -> LayerFlow:
        layer = self.layers[index]
        elements = layer.weight.numel()
        square, sizes, update = self._squares.get(index), self._sizes.get(index), self._updates.get(index)
        lost, stayed = _shares(self._counts.get(index), elements)
        under = self._under.get(index)
        return LayerFlow(
            layer.name, layer.kind, grad, weight, lost,
            _output_norm(square, sizes, output_scale),
            elements, str(layer.weight.dtype).removeprefix("torch."),
            None if update is None else float(update), stayed,
            None if sizes is None else float(torch.stack(sizes).mean().sqrt()),
            None if under is None or bool(under.isnan()) else float(under),
        )  # fmt: skip


def _output_norm(square: Tensor | None, sizes: list[Tensor] | None, scale: float) -> float | None:
    """0 where the layer ran and nothing came back to it, None where it was not seen to run."""
    if square is None:
        return None if sizes is None else 0.0
    return float(square.sqrt()) / scale


def _shares(counts: Tensor | None, elements: int) -> tuple[float | None, float | None]:
    """(lost updates, unmoved) of a weight."""
    if counts is None:
        return None, None
    stayed, *rest = counts.tolist()
    lost = rest[1] / rest[0] if rest and rest[0] else None
    return lost, stayed / max(1, elements)


def _difference(before: Tensor, after: Tensor) -> Tensor:
    """In float32 at least: a difference of halves need not be a half."""
    return after.float() - before.float() if after.dtype in (torch.float16, torch.bfloat16) else after - before
