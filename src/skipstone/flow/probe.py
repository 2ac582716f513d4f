"""A probe on a network: what one training step does to each layer, read at three moments of that step."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from skipstone.flow.buckets import buckets, counts, joined
from skipstone.flow.layers import Layer, find_layers
from skipstone.flow.norms import Number, norm_at_once, norms_at_once, underflow, underflows
from skipstone.flow.readings import Readings
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
        self._readings = Readings()
        self._elements: dict[int, list[int]] = {}  # of each output of a layer
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
        return {self.layers[index].name: norm / scale for index, norm in self._arrived().items()}

    def _arrived(self) -> dict[int, float]:
        """The norm of the gradient at a layer's output; at all its outputs together where it was called again."""
        return {index: math.hypot(*norms) for index, norms in self._readings.of("gradient at output").items()}

    def _output_rms(self) -> dict[int, float]:
        """The root mean square of a layer's output; of several, that of their mean square."""
        return {
            index: math.hypot(*(norm / size**0.5 for norm, size in zip(norms, self._elements[index], strict=True)))
            / len(norms) ** 0.5
            for index, norms in self._readings.of("output").items()
        }

    def stop_listening(self) -> None:
        """Whatever goes back from here on (another pass over the same graph) is no part of the step."""
        self._deaf = True

    def _on_output(self, index: int) -> Callable[[nn.Module, object, object], None]:
        def add(gradient: Tensor) -> None:
            if self._deaf:
                return
            self._readings.add("gradient at output", index, norm_at_once(gradient))
            if underflows(gradient):
                self._readings.add("underflow", index, underflow(gradient))

        def on_output(module: nn.Module, inputs: object, output: object) -> None:
            if torch.compiler.is_compiling() or not isinstance(output, Tensor) or not output.requires_grad:
                return
            real = 2 if output.is_complex() else 1
            self._elements.setdefault(index, []).append(max(1, real * output.numel()))
            # Not later: the next operation may overwrite it, and what was just written is read fastest.
            self._readings.add("output", index, norm_at_once(output))
            output.register_hook(add)  # type: ignore[no-untyped-call]

        return on_output

    @property
    def went_back(self) -> bool:
        """Did a gradient arrive at an output since the step began?"""
        return self._readings.has("gradient at output")

    @property
    def has_no_gradients(self) -> bool:
        """Has no weight a gradient at present?"""
        return all(layer.weight.grad is None for layer in self.layers)

    def gradients(self, only: Iterable[nn.Parameter] | None = None, *, scale: Number = 1.0) -> None:
        """Read the weights' gradients, divided by `scale`, and the weights; call after the backward pass.

        Those of `only` alone, if given: the parameters of one optimizer of several.
        """
        self.close()
        chosen = self._chosen(only)
        layers = [self.layers[index] for index in chosen]
        self._add_gradients(chosen, norms_at_once([layer.weight.grad for layer in layers]), scale)
        self._readings.add_all("weight", chosen, norms_at_once([layer.weight for layer in layers]))

    def _add_gradients(self, indices: Sequence[int], found: Sequence[Number], scale: Number) -> None:
        self._readings.add_all("gradient", indices, found)
        self._readings.add_all("scale", indices, [scale] * len(indices))

    def _chosen(self, only: Iterable[nn.Parameter] | None) -> list[int]:
        wanted = None if only is None else set(map(id, only))
        return [k for k, layer in enumerate(self.layers) if wanted is None or id(layer.weight) in wanted]

    def reduce_outputs(self) -> None:
        """Add up the gradients at outputs over all ranks, of which each has the part of its own samples.

        The loss is the mean over ranks, whose gradients at outputs are 1 / ranks of what a rank by itself sees.
        """
        if not self._watches_outputs or not distributed.is_available() or not distributed.is_initialized():
            return
        ranks, own = distributed.get_world_size(), self._arrived()
        device = self.layers[0].weight.device if self.layers else torch.device("cpu")
        # Of all layers, in one go: what one rank did not call another may have.
        seen = [[own.get(index, 0.0) ** 2, float(index in own)] for index in range(len(self.layers))]
        sums = torch.tensor(seen, dtype=torch.float64, device=device)
        distributed.all_reduce(sums)
        rows = {k: square**0.5 / ranks for k, (square, count) in enumerate(sums.tolist()) if count}
        self._readings.put("gradient at output", rows)

    # ---- the optimizer's step

    @contextmanager
    def change(self) -> Iterator[None]:
        """Compare the weights before and after this block, which is to hold the optimizer's step."""
        self.before_step()
        yield
        self.after_step()

    def before_step(
        self, only: Iterable[nn.Parameter] | None = None, *, closure: bool = False, scale: Number = 1.0
    ) -> None:
        """Keep a copy of the weights; of those of `only` alone, if given. What `gradients` has not read, this does.

        With `closure` the step makes its gradients itself, and they are read behind it.
        """
        self.close()
        chosen = self._chosen(only)
        weights = [self.layers[index].weight for index in chosen]
        # A fused or user-made optimizer may write into .grad, so what counts is read now.
        grads = [None if closure else weight.grad for weight in weights]
        for places in buckets(weights, [grad is None for grad in grads]):
            indices, own = [chosen[k] for k in places], [grad for k in places if (grad := grads[k]) is not None]
            values, sizes = joined([weights[k] for k in places]), [weights[k].numel() for k in places]
            unread = not closure and not self._readings.has("gradient", indices[0])
            if unread:
                self._readings.add_all("weight", indices, norms_at_once(torch.split(values, sizes)))
            meant = None
            if own:
                gradient = joined(own)
                meant = gradient.bool()
            if unread:
                found = norms_at_once(torch.split(gradient, sizes)) if own else [0.0] * len(indices)
                self._add_gradients(indices, found, scale)
            self._before.append(_Weights(indices, values, meant))

    def after_step(self) -> None:
        """Read what the step did to the weights of `before_step`, and let their copies go."""
        for held in self._before:
            weights = [self.layers[index].weight for index in held.indices]
            sizes, change = [weight.numel() for weight in weights], _difference(held.values, joined(weights))
            self._readings.add_all("change", held.indices, norms_at_once(torch.split(change, sizes)))
            grads = [grad for weight in weights if (grad := weight.grad) is not None]
            if held.meant is None and len(grads) == len(weights):
                held.meant = joined(grads).bool()
            moved = change.bool()
            rows = {"stayed": ~moved}
            if held.meant is not None:
                rows |= {"meant": held.meant, "lost": held.meant > moved}
            for name, row in rows.items():
                self._readings.add_all(name, held.indices, counts(row, sizes))
        self._before = []

    # ---- what was read

    def record(self, *, epoch: int = 0, step: int = 0, output_scale: float = 1.0) -> FlowRecord:
        """What was read. The gradients at outputs are divided by `output_scale`."""
        unread = [layer.weight for k, layer in enumerate(self.layers) if not self._readings.has("gradient", k)]
        if unread:
            self.gradients(unread)
        columns = {name: self._readings.of(name) for name in _ROW}
        arrived, sizes = self._arrived(), self._output_rms()
        rows = []
        for index, layer in enumerate(self.layers):
            read = {name: column[index][-1] for name, column in columns.items() if index in column}
            came = arrived.get(index, 0.0 if index in sizes else None)  # 0 where it ran and nothing came back
            rows.append(_row(layer, read, None if came is None else came / output_scale, sizes.get(index)))
        return FlowRecord(epoch, step, tuple(rows), frozen=self.frozen)


_ROW = ("gradient", "scale", "weight", "change", "stayed", "meant", "lost", "underflow")


def _row(layer: Layer, read: Mapping[str, float], arrived: float | None, rms: float | None) -> LayerFlow:
    elements, under = layer.weight.numel(), read.get("underflow", math.nan)
    return LayerFlow(
        layer.name,
        layer.kind,
        read["gradient"] / read["scale"],
        read["weight"],
        read["lost"] / read["meant"] if read.get("meant") else None,
        arrived,
        elements,
        str(layer.weight.dtype).removeprefix("torch."),
        read.get("change"),
        read["stayed"] / max(1, elements) if "stayed" in read else None,
        rms,
        None if math.isnan(under) else under,
    )


def _difference(before: Tensor, after: Tensor) -> Tensor:
    """`after`, of which the caller has no more need, less `before`; zero where they are equal, and nowhere else.

    In float32 at least: a difference of halves need not be a half.
    """
    return after.float() - before.float() if after.dtype in (torch.float16, torch.bfloat16) else after.sub_(before)
