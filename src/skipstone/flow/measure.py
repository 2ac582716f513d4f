"""Gradient flow of any network: once on a batch, or every so often inside one's own training loop."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skipstone.core.errors import SkipstoneError
from skipstone.execution.copying import CopyError, copied
from skipstone.flow.probe import Handle, Probe
from skipstone.runs.records import FlowRecord
from skipstone.tracing.session import undisturbed

Loss = Callable[[Tensor, Tensor], Tensor]


def gradient_flow(model: nn.Module, batch: tuple[object, Tensor], loss: Loss = F.cross_entropy) -> FlowRecord:
    """The norms of each layer's gradient and weights for one batch, in the model's present mode.

    `batch` is (inputs, targets); inputs may be a tensor, a tuple of positional or a mapping of keyword arguments.
    `loss(outputs, targets)` must be a scalar. A copy is run: the model and the random state are left as they were.

    Raises:
        SkipstoneError: the loss is not a scalar, or no parameter has a part in it.
    """
    inputs, targets = batch
    with undisturbed(model):
        twin = _copied(model)
        probe = Probe(twin)
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())), torch.enable_grad():
            with probe.outputs():
                value = loss(_call(twin, inputs), targets)
            _demand_scalar(value)
            value.backward()  # type: ignore[no-untyped-call]
        probe.gradients()
        return probe.record()


def _copied(model: nn.Module) -> nn.Module:
    """What is run in the model's place: a pass may write to whatever the model holds."""
    try:
        return copied(model).model
    except CopyError as error:
        raise SkipstoneError(f"{type(model).__name__} cannot be copied: {error}") from error


def _call(model: nn.Module, inputs: object) -> Tensor:
    if isinstance(inputs, Mapping):
        output = model(**inputs)
    elif isinstance(inputs, tuple | list):
        output = model(*inputs)
    else:
        output = model(inputs)
    tensor: Tensor = output
    return tensor


def _demand_scalar(value: Tensor) -> None:
    if value.ndim != 0:
        raise SkipstoneError(f"the loss has shape {tuple(value.shape)}, expected a scalar: take its mean or sum")
    if not value.requires_grad:
        raise SkipstoneError("the loss depends on no trainable parameter: is the network frozen, or under no_grad?")


class Watch:
    """What `watch` has seen so far: `records`, oldest first.

    Set `epoch` in your loop if the records are to carry it.
    """

    def __init__(self, model: nn.Module, every: int) -> None:
        if every < 1:
            raise SkipstoneError(f"every is {every}, expected at least 1")
        self.records: list[FlowRecord] = []
        self.epoch = 0
        self.every = every
        self._step = 0
        self._probe = Probe(model)
        self._open = False

    @property
    def last(self) -> FlowRecord:
        return self.records[-1]

    def save(self, path: str | Path) -> None:
        """Write the records as JSON lines, the form of a run folder's `flow.jsonl`."""
        Path(path).write_text("".join(json.dumps(r.to_dict()) + "\n" for r in self.records), encoding="utf-8")

    def _before_forward(self, module: nn.Module, inputs: object) -> None:
        if self._step % self.every == 0 and module.training and torch.is_grad_enabled() and not self._open:
            self._probe.open()
            self._open = True

    def _before_step(self, optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        if self._open:
            self._probe.close()
            self._probe.gradients()
            self._probe.before_step()

    def _after_step(self, optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        if self._open:
            self._probe.after_step()
            self.records.append(self._probe.record(epoch=self.epoch, step=self._step))
            self._open = False
        self._step += 1

    def _finish(self) -> None:
        if self._open:
            self._probe.close()


@contextmanager
def watch(model: nn.Module, optimizer: torch.optim.Optimizer, every: int = 50) -> Iterator[Watch]:
    """Record the gradient flow of a training loop at its first step and at every `every`-th after it.

    with skipstone.watch(model, optimizer, every=50) as flow:
        ...your loop, unchanged...
    print(flow.last)

    Gradients are read when `optimizer.step()` begins: after clipping, if the loop clips. Steps in between cost one
    comparison.
    """
    seen = Watch(model, every)
    handles: Sequence[Handle] = [
        model.register_forward_pre_hook(seen._before_forward),
        optimizer.register_step_pre_hook(seen._before_step),
        optimizer.register_step_post_hook(seen._after_step),
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
        seen._finish()
