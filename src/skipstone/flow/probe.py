"""A probe on a network: what one training step does to each layer, read at three moments of that step."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from skipstone.flow.buckets import buckets, counts, joined
from skipstone.flow.layers import find_layers
from skipstone.flow.norms import norm_of, read, square_of, underflow, underflows
from skipstone.runs.flow import FlowRecord, LayerFlow

Handle = torch.utils.hooks.RemovableHandle


@dataclass(slots=True)
class _Weights:
    """Some layers' weights before a step, joined, and which of their elements have a gradient other than zero."""

    indices: list[int]
    values: Tensor
    meant: Tensor | None


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
        self._squares: dict[int, float | Tensor] = {}
        self._sizes: dict[int, list[float | Tensor]] = {}
        self._under: dict[int, Tensor] = {}
        self._norms: list[tuple[list[int], Tensor, Tensor]] = []  # of layers: their gradients' and their weights'
        self._changes: list[tuple[list[int], Tensor, Tensor]] = []  # lengths; stayed, with a gradient, both
        self._before: list[_Weights] = []

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
        return {self.layers[index].name: float(square) ** 0.5 / scale for index, square in self._squares.items()}

    def stop_listening(self) -> None:
        """Whatever goes back from here on (another pass over the same graph) is no part of the step."""
        self._deaf = True

    def _on_output(self, index: int) -> Callable[[nn.Module, object, object], None]:
        def add(gradient: Tensor) -> None:
            if self._deaf:
                return
            self._squares[index] = self._squares.get(index, 0.0) + square_of(gradient)
            if underflows(gradient):
                self._under[index] = underflow(gradient)

        def on_output(module: nn.Module, inputs: object, output: object) -> None:
            if torch.compiler.is_compiling() or not isinstance(output, Tensor) or not output.requires_grad:
                return
            real = 2 if output.is_complex() else 1
            self._sizes.setdefault(index, []).append(square_of(output) / max(1, real * output.numel()))
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
        self._norms.append((chosen, grads, weights))

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
            square = torch.as_tensor(self._squares[index], dtype=torch.float64).clone()
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
        chosen = self._chosen(only)
        weights = [self.layers[index].weight for index in chosen]
        # A fused or user-made optimizer may write into .grad, so what counts is read now.
        grads = [None if closure else weight.grad for weight in weights]
        for places in buckets(weights, [grad is None for grad in grads]):
            own = [grad for k in places if (grad := grads[k]) is not None]
            meant = joined(own).bool() if own else None
            self._before.append(_Weights([chosen[k] for k in places], joined([weights[k] for k in places]), meant))

    def after_step(self) -> None:
        """Read what the step did to the weights of `before_step`, and let their copies go."""
        for held in self._before:
            weights = [self.layers[index].weight for index in held.indices]
            sizes, change = [weight.numel() for weight in weights], _difference(held.values, joined(weights))
            lengths = norm_of(torch.split(change, sizes))
            grads = [grad for weight in weights if (grad := weight.grad) is not None]
            if held.meant is None and len(grads) == len(weights):
                held.meant = joined(grads).bool()
            moved = change.bool()
            rows = [~moved] if held.meant is None else [~moved, held.meant, held.meant > moved]
            self._changes.append((held.indices, lengths, torch.stack([counts(row, sizes) for row in rows])))
        self._before = []

    # ---- what was read

    def record(self, *, epoch: int = 0, step: int = 0, output_scale: float = 1.0) -> FlowRecord:
        """What was read. The gradients at outputs are divided by `output_scale`."""
        seen = {index for indices, _, _ in self._norms for index in indices}
        if missing := [layer.weight for index, layer in enumerate(self.layers) if index not in seen]:
            self.gradients(missing)
        norms = {
            index: pair
            for indices, grads, weights in self._norms
            for index, pair in zip(indices, zip(*read([grads, weights]), strict=True), strict=True)
        }
        changes = {
            index: (length, shares)
            for indices, lengths, found in self._changes
            for index, length, shares in zip(indices, lengths.tolist(), found.T.tolist(), strict=True)
        }
        rows = [self._row(i, norms[i], changes.get(i, (None, None)), output_scale) for i in range(len(self.layers))]
        return FlowRecord(epoch, step, tuple(rows), frozen=self.frozen)

    def _row(
        self, index: int, norms: tuple[float, float], change: tuple[float, list[int]] | tuple[None, None], scale: float
    ) -> LayerFlow:
        layer, (grad, weight), (update, counted) = self.layers[index], norms, change
        elements = layer.weight.numel()
        sizes, under = self._sizes.get(index), self._under.get(index)
        lost, stayed = _shares(counted, elements)
        return LayerFlow(
            layer.name, layer.kind, grad, weight, lost,
            _output_norm(self._squares.get(index), sizes, scale),
            elements, str(layer.weight.dtype).removeprefix("torch."),
            update, stayed,
            None if sizes is None else (sum(map(float, sizes)) / len(sizes)) ** 0.5,
            None if under is None or bool(under.isnan()) else float(under),
        )  # fmt: skip


def _output_norm(square: float | Tensor | None, sizes: list[float | Tensor] | None, scale: float) -> float | None:
    """0 where the layer ran and nothing came back to it, None where it was not seen to run."""
    if square is None:
        return None if sizes is None else 0.0
    return math.sqrt(square) / scale


def _shares(counted: list[int] | None, elements: int) -> tuple[float | None, float | None]:
    """(lost updates, unmoved) of a weight."""
    if counted is None:
        return None, None
    stayed, *rest = counted
    return (rest[1] / rest[0] if rest and rest[0] else None), stayed / max(1, elements)


def _difference(before: Tensor, after: Tensor) -> Tensor:
    """`after`, of which the caller has no more need, less `before`; zero where they are equal, and nowhere else.

    In float32 at least: a difference of halves need not be a half.
    """
    return after.float() - before.float() if after.dtype in (torch.float16, torch.bfloat16) else after.sub_(before)
