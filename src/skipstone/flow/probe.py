"""A probe on a network: what one training step does to each layer, read at three moments of that step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from skipstone.flow.layers import Layer, find_layers
from skipstone.flow.norms import lost_updates, norms
from skipstone.runs.records import FlowRecord, LayerFlow

Handle = torch.utils.hooks.RemovableHandle


class Probe:
    """Reads one step: `outputs()` around the forward pass, `gradients()` after the backward pass, `change()` around
    the optimizer's step, then `record()`.

    Outside these the network carries no hook and training costs what it always does.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers = find_layers(model)
        self._squares: dict[int, Tensor] = {}
        self._gradients: list[Tensor | None] = []
        self._grad_norms: list[float] = []
        self._lost: list[float | None] = []

    @contextmanager
    def outputs(self) -> Iterator[None]:
        """Watch the gradient that will arrive at the output of each layer called in this block."""
        self.open()
        try:
            yield
        finally:
            self.close()

    def open(self) -> None:
        """Begin a step; `outputs()` does this for you."""
        self._squares, self._gradients, self._lost = {}, [], []
        self._handles: list[Handle] = []
        for index, layer in enumerate(self.layers):
            if layer.kind != "other":  # of other modules it is not known which output the weight made
                self._handles.append(layer.module.register_forward_hook(self._on_output(index)))

    def close(self) -> None:
        """Take the hooks off the network. Gradients of outputs already seen will still be read."""
        for handle in self._handles:
            handle.remove()

    def _on_output(self, index: int) -> Callable[[nn.Module, object, object], None]:
        def add(gradient: Tensor) -> None:
            square = gradient.detach().double().square().sum()
            self._squares[index] = self._squares[index] + square if index in self._squares else square

        def on_output(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.requires_grad:
                output.register_hook(add)  # type: ignore[no-untyped-call]

        return on_output

    def gradients(self) -> None:
        """Read the weights' gradients; call after the backward pass, before clipping."""
        self._grad_norms = norms([layer.weight.grad for layer in self.layers])

    @contextmanager
    def change(self) -> Iterator[None]:
        """Compare the weights before and after this block, which is to hold the optimizer's step."""
        self.before_step()
        yield
        self.after_step()

    def before_step(self) -> None:
        self._before = [layer.weight.detach().clone() for layer in self.layers]
        # A fused or user-made optimizer may write into .grad, so what counts is read now.
        self._gradients = [None if layer.weight.grad is None else layer.weight.grad != 0 for layer in self.layers]

    def after_step(self) -> None:
        self._lost = [
            lost_updates(before, layer.weight.detach(), gradient)
            for layer, before, gradient in zip(self.layers, self._before, self._gradients, strict=True)
        ]
        self._before = []

    def record(self, *, epoch: int = 0, step: int = 0) -> FlowRecord:
        """What was read, and the weights' norms now."""
        lost = self._lost or [None] * len(self.layers)
        weights = norms([layer.weight for layer in self.layers])
        rows = zip(self.layers, self._grad_norms, weights, lost, strict=True)
        return FlowRecord(
            epoch, step, tuple(self._row(i, layer, g, w, share) for i, (layer, g, w, share) in enumerate(rows))
        )

    def _row(self, index: int, layer: Layer, grad: float, weight: float, lost: float | None) -> LayerFlow:
        square = self._squares.get(index)
        output = None if square is None else float(square.sqrt())
        return LayerFlow(layer.name, layer.kind, grad, weight, lost, output)
