"""Gradient flow inside one's own training loop, every so often: the loop stays as it is, and so do its numbers."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from skipstone.core.as_text import pretty_as_text
from skipstone.core.errors import SkipstoneError
from skipstone.flow.probe import Handle, Probe
from skipstone.flow.rerun import NotHadError, Rerun
from skipstone.flow.wrapping import demand_whole, unwrapped, unwrapped_optimizer
from skipstone.runs.flow import FlowRecord, SkipFlow, Verdict
from skipstone.tracing.session import at_work

_COMPILED_SKIPS = "the skips: the network is compiled; hand the uncompiled one to watch before compiling it"
Optimizers = torch.optim.Optimizer | Sequence[torch.optim.Optimizer]


class FlowLogger(Protocol):
    """Where records may go as they are made: see `skipstone.integrations.flow_loggers`."""

    def log(self, record: FlowRecord) -> None:
        """Take one record."""


class Watch:
    """What `watch` has seen so far: `records`, oldest first.

    Set `epoch` in your loop if the records are to carry it.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        every: int = 50,
        *,
        outputs: bool = True,
        skips: bool = False,
        scaler: torch.amp.GradScaler | None = None,
        across_ranks: bool = False,
        loggers: Sequence[FlowLogger] = (),
    ) -> None:
        if every < 1:
            raise SkipstoneError(f"every is {every}, expected at least 1")
        self.records: list[FlowRecord] = []
        self.epoch = 0
        self.every = every
        bare, self._notes = unwrapped(model)
        demand_whole(bare)
        self._model, self._optimizers = model, [unwrapped_optimizer(each) for each in optimizers]
        self._watches_outputs = outputs and not self._notes
        self._probe = Probe(bare, outputs=self._watches_outputs)
        self._bare, self._rerun = bare, Rerun(bare) if skips else None
        self._scaler, self._across_ranks, self._loggers = scaler, across_ranks, loggers
        self._step = 0
        self._open = self._begun = self._inside = False
        self._stepped: set[int] = set()
        self._output_scale = 1.0

    @property
    def last(self) -> FlowRecord:
        if not self.records:
            raise SkipstoneError("no step was watched yet: did optimizer.step() run inside the block?")
        return self.records[-1]

    @property
    def not_finite(self) -> Verdict | None:
        """The first reading of NaN or infinity: its layer, and the first recorded step that shows it."""
        found = (verdict for record in self.records for verdict in record.verdicts if verdict.kind == "not finite")
        return next(found, None)

    def __str__(self) -> str:
        return f"step {self.last.step}, {len(self.records)} recorded\n\n{self.last}"

    _repr_pretty_ = pretty_as_text

    def _repr_html_(self) -> str:
        return self.last._repr_html_()

    def save(self, path: str | Path) -> None:
        """Write the records as JSON lines, the form of a run folder's `flow.jsonl`."""
        Path(path).write_text("".join(json.dumps(r.to_dict()) + "\n" for r in self.records), encoding="utf-8")

    # ---- the hooks

    def attach(self) -> list[Handle]:
        """Hook the network and its optimizers; whoever asked removes the handles, and calls `finish`."""
        handles: list[Handle] = []
        if self._watches_outputs:
            handles.append(self._model.register_forward_pre_hook(self._before_forward))
        if self._rerun is not None and not self._notes:
            # First of all: what other hooks do to the arguments, the copy's do again.
            before = self._bare.register_forward_pre_hook(self._keep_call, prepend=True, with_kwargs=True)
            handles += [before, *self._rerun.attach()]
        self._hooks = list(handles)
        for optimizer in self._optimizers:
            handles.append(optimizer.register_step_pre_hook(self._before_step))
            handles.append(optimizer.register_step_post_hook(self._after_step))
        return handles

    @property
    def _due(self) -> bool:
        return self._step % self.every == 0

    def _before_forward(self, module: nn.Module, inputs: object) -> None:
        self.begin_pass(module)

    def begin_pass(self, module: nn.Module) -> None:
        """A forward pass begins; for loops that call parts of the network, not the network itself."""
        if not self._watches_outputs or not self._watched_now(module):
            return
        if not self._open:
            self._probe.open(anew=not self._begun)
            self._open = True
        elif not self._begun and self._probe.went_back and self._probe.has_no_gradients:
            self._probe.open()  # the step before was left out, as a scaler does where gradients are infinite
        self._output_scale = 1.0 if self._scaler is None else self._scaler.get_scale()

    def _keep_call(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._rerun is not None and self._watched_now(module):
            self._rerun.keep(args, kwargs, [*self._hooks, *self._probe.handles])

    def _watched_now(self, module: nn.Module) -> bool:
        not_run = torch.compiler.is_compiling() or _is_captured()
        return not not_run and self._due and module.training and torch.is_grad_enabled() and not at_work()

    def _before_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if _is_captured():
            return
        if id(optimizer) in self._stepped:
            self._finish_step()  # others were not asked to step this time
        if not self._due:
            return
        if not self._begun and not self._open:
            self._probe.open(outputs=False)
        self._begun = True
        own = [p for group in optimizer.param_groups for p in group["params"]]
        # With a closure the gradients of this step are yet to come.
        self._probe.before_step(own, closure=bool(_closure(args, kwargs)), scale=_scale_of(optimizer))

    def _after_step(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if _is_captured():
            return
        if self._due and self._begun:
            if _closure(args, kwargs):
                own = [p for group in optimizer.param_groups for p in group["params"]]
                self._probe.gradients(own, scale=_scale_of(optimizer))
            self._probe.after_step()
        self._stepped.add(id(optimizer))
        if len(self._stepped) == len(self._optimizers):
            self._finish_step()

    def _finish_step(self) -> None:
        if self._due and self._begun:
            skips, notes = self._skips()
            if self._across_ranks:
                self._probe.reduce_outputs()
            record = self._probe.record(epoch=self.epoch, step=self._step, output_scale=self._output_scale)
            held = {
                id(p) for optimizer in self._optimizers for group in optimizer.param_groups for p in group["params"]
            }
            left = tuple(layer.name for layer in self._probe.layers if id(layer.weight) not in held)
            record = replace(record, skips=skips, not_optimised=left, notes=(*self._notes, *notes))
            self.records.append(record)
            for logger in self._loggers:
                logger.log(record)
        self._step += 1
        self._stepped.clear()
        self._open = self._begun = False

    def _skips(self) -> tuple[tuple[SkipFlow, ...], tuple[str, ...]]:
        """(what each skip contributed, why that could not be had)."""
        if self._rerun is None:
            return (), ()
        if self._notes:
            return (), (_COMPILED_SKIPS,)
        seen = {} if self._across_ranks or not self._watches_outputs else self._probe.output_norms(self._output_scale)
        try:
            return self._rerun.skips(self._output_scale, seen), ()
        except NotHadError as reason:
            return (), (f"the skips: {reason}",)

    def finish(self) -> None:
        """Behind the last step: what began and did not end is no record."""
        self._probe.close()
        if self._rerun is not None:
            self._rerun.forget()


@contextmanager
def watch(
    model: nn.Module,
    optimizer: Optimizers,
    every: int = 50,
    *,
    outputs: bool = True,
    skips: bool = False,
    scaler: torch.amp.GradScaler | None = None,
    across_ranks: bool = False,
    loggers: Sequence[FlowLogger] = (),
) -> Iterator[Watch]:
    """Record the gradient flow of a training loop at its first step and at every `every`-th after it.

    with skipstone.watch(model, optimizer, every=50) as flow:
        ...your loop, unchanged...
    print(flow.last)

    Gradients are read when `optimizer.step()` begins (with a closure: when it ends): after clipping, if the loop clips,
    of all micro-batches if it accumulates, unscaled where a `GradScaler` unscales, averaged over ranks under
    `DistributedDataParallel`. Training gives the same numbers, bit for bit on a CPU, with the watch and without. Steps
    in between cost one comparison; behind the block no hook is left, whatever ended it.

    Args:
        optimizer: the optimizer, or several: a step is over when each has stepped, or one begins its next.
        outputs: watch the layers' outputs and the gradients that arrive there too, a pass over every activation. Of a
            compiled network they are not seen: a note says so.
        skips: measure what each skip contributes too, under the loop's own loss: of several forward passes in a step
            (micro-batches, a closure) in the last one. A watched step then costs a copy of the network and of the batch
            from each forward pass to the step, and behind it one more forward and about two more backward passes; the
            first one a record of the network as well. Where it cannot be had, a note says why.
        scaler: the loop's GradScaler, by whose scale the gradients at outputs are divided.
        across_ranks: under `DistributedDataParallel`, add up the gradients at outputs over the ranks, each of which has
            to watch; the weights' are global as they are.
        loggers: are handed each record as it is made.

    Raises:
        SkipstoneError: `every` is no count, or the parameters are sharded (FSDP): no rank has a whole layer then.
    """
    optimizers = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else list(optimizer)
    seen = Watch(
        model, optimizers, every, outputs=outputs, skips=skips, scaler=scaler, across_ranks=across_ranks,
        loggers=loggers,
    )  # fmt: skip
    handles = seen.attach()
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
        seen.finish()


def _scale_of(optimizer: torch.optim.Optimizer) -> float | torch.Tensor:
    """By what the gradients are to be divided: a fused optimizer under a scaler unscales them itself."""
    scale: torch.Tensor | None = getattr(optimizer, "grad_scale", None)
    return 1.0 if scale is None else scale


def _is_captured() -> bool:
    """Is a CUDA graph being captured? Nothing runs then, and waiting for the device would break it."""
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return started and torch.cuda.is_current_stream_capturing()


def _closure(args: Any, kwargs: Any) -> Callable[[], object] | None:
    """The closure that a step was given, if any: it runs forward and backward inside the step."""
    given = [*args, kwargs.get("closure")]
    return next((value for value in given if callable(value) and not isinstance(value, torch.optim.Optimizer)), None)
