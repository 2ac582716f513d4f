"""The trainer: a network, a data set and a recipe, on whatever device lightning-fabric finds."""

import math
import os
import time
from contextlib import nullcontext
from pathlib import Path
from pickle import UnpicklingError

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from skipstone.core.codec import RecordError
from skipstone.core.errors import SkipstoneError
from skipstone.data import Batches, Pixels, load
from skipstone.data.batches import mixed_seed
from skipstone.data.images import permutation
from skipstone.flow import Probe
from skipstone.runs.folder import RunFolder, demand_free, demand_same, partial_path
from skipstone.runs.records import SPEC_FILE, EpochRecord, FlowRecord, RunResult, RunSpec, read_run
from skipstone.training.environment import describe
from skipstone.training.evaluate import evaluate
from skipstone.training.memory import keep_freed_memory
from skipstone.training.model import Builder, build_model
from skipstone.training.optimizer import make_optimizer, set_rate
from skipstone.training.overfitting import best_epoch, turned_epoch
from skipstone.training.progress import Progress, Silent
from skipstone.training.schedule import learning_rate
from skipstone.training.seeding import seeded

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
_MODEL_STREAM = 1
"""Apart from the stream of the batches, so that dropout and shuffling share no random numbers."""


def train(
    spec: RunSpec, *, resume: bool = False, progress: Progress | None = None, build: Builder = build_model
) -> RunResult:
    """Train the network of `spec` and measure it on the test images, once, at the end.

    With `spec.out` a run folder is written, its checkpoint replaced at every epoch; `resume` goes on from that
    checkpoint, starts the run if there is none, and returns the result of a finished one. On a CPU a run gives the same
    numbers bit for bit each time, resumed or not, on one machine with one number of threads. `progress` is told of
    every step and epoch; `build` makes the network (default: from `spec.model`). Random states of the caller are left
    alone. A process on Linux keeps the memory it frees from here on (see `keep_freed_memory`).

    Raises:
        SkipstoneError: the folder holds a run (or, to resume, another spec's), the data cannot be read, or the network
            cannot be built or does not fit the data. Nothing has been written then.
    """
    progress = progress or Silent()
    if spec.out is None:
        return _Run(spec, build).finish(progress, None)
    folder = RunFolder(Path(spec.out))
    continues = resume and (folder.path / SPEC_FILE).is_file()
    if continues:
        record = read_run(folder.path)
        demand_same(record, spec)
        if record.result is not None:
            return record.result
    else:
        demand_free(folder.path)
    run = _Run(spec, build)
    try:
        if continues:
            folder.hold()
            run.restore(folder)
        else:
            folder.create(spec, run.environment)
        return run.finish(progress, folder)
    finally:
        folder.release()


class _Run:
    """Everything a run holds in memory."""

    def __init__(self, spec: RunSpec, build: Builder) -> None:
        keep_freed_memory()
        self.spec = spec
        self.fabric = _fabric(spec)
        device = self.fabric.device
        self.data = load(spec.data, spec.data_dir, val_fraction=spec.val_fraction, split_seed=spec.split_seed)
        with seeded(mixed_seed(spec.seed, 0, _MODEL_STREAM)):
            self.bare = _channels_last(build(spec, self.data.shape, self.data.num_classes))
        self.optimizer = make_optimizer(self.bare, spec.recipe)
        # The wrapped optimizer copies the list of groups, which a restored checkpoint replaces: rates are set on ours.
        self.model, self.stepper = self.fabric.setup(self.bare, self.optimizer)
        self.parameters = [p for p in self.bare.parameters() if p.requires_grad]
        asked = spec.recipe.augmentation
        augmentation = self.data.augmentation if asked == "auto" else asked
        self.pixels = Pixels.of(self.data.train).to(device)
        self.batches = Batches(
            self.data.train,
            spec.recipe.batch_size,
            augmentation=augmentation,
            pixels=self.pixels,
            seed=spec.seed,
            device=device,
        )
        sample = permutation(len(self.data.train), spec.split_seed)[: len(self.data.val)]
        self.train_sample = self.data.train[sample]
        self.environment = describe(device, augmentation)
        self.epochs: list[EpochRecord] = []

    def restore(self, folder: RunFolder) -> None:
        """Go back to where the checkpoint was written; to the beginning where there is none yet."""
        epoch = 0
        if folder.checkpoint.is_file():
            state = {"model": self.model, "optimizer": self.stepper}
            try:
                epoch = self.fabric.load(folder.checkpoint, state, weights_only=True)["epoch"]
            except (RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
                raise RecordError(f"{folder.checkpoint}: not a checkpoint of this network: {error}") from error
        self.epochs = list(folder.resume(epoch, self.environment).epochs)

    def finish(self, progress: Progress, folder: RunFolder | None) -> RunResult:
        """Train the epochs that are left, measure, and write the result."""
        progress.started(self.spec, len(self.batches), len(self.epochs))
        while len(self.epochs) < self.spec.epochs:
            record, flow = self._epoch(len(self.epochs) + 1, progress)
            self.epochs.append(record)
            if folder is not None:
                folder.append(record, flow)
                self._save(folder)
            progress.finished_epoch(record)
        result = self._result()
        if folder is not None:
            folder.finish(result)
        return result

    def _save(self, folder: RunFolder) -> None:
        partial = partial_path(folder.checkpoint)
        self.fabric.save(partial, {"model": self.model, "optimizer": self.stepper, "epoch": len(self.epochs)})
        os.replace(partial, folder.checkpoint)

    def _epoch(self, number: int, progress: Progress) -> tuple[EpochRecord, list[FlowRecord]]:
        began = time.perf_counter()
        steps = len(self.batches)
        first = (number - 1) * steps
        totals = torch.zeros(3, dtype=torch.float64, device=self.fabric.device)
        flow: list[FlowRecord] = []
        self.model.train()
        with seeded(mixed_seed(self.spec.seed, number, _MODEL_STREAM)):
            for step, (x, y) in enumerate(self.batches.epoch(number), start=first):
                epochs = self._recorded(step)
                probe = Probe(self.bare) if epochs else None
                totals += self._step(x, y, step, probe)
                if probe is not None:
                    flow += [probe.record(epoch=epoch, step=step) for epoch in epochs]
                progress.stepped(number)
        loss, correct, norm = totals.tolist()
        count = steps * self.batches.batch_size
        _, sample_accuracy = evaluate(self.model, self.train_sample, self.pixels)
        val_loss, val_accuracy = evaluate(self.model, self.data.val, self.pixels)
        record = EpochRecord(
            epoch=number,
            train_loss=loss / count,
            train_accuracy=correct / count,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=self._rate(first + steps - 1),
            train_gap=sample_accuracy - val_accuracy,
            grad_norm=norm / steps,
            seconds=time.perf_counter() - began,
        )
        return record, flow

    def _step(self, x: Tensor, y: Tensor, step: int, probe: Probe | None) -> Tensor:
        """One optimizer step; (3,) float64: summed loss without smoothing, correct answers, the gradient's norm."""
        recipe = self.spec.recipe
        set_rate(self.optimizer, self._rate(step))
        self.stepper.zero_grad()
        with probe.outputs() if probe else nullcontext():
            logits = self.model(x)
        loss = F.cross_entropy(logits, y, label_smoothing=recipe.label_smoothing)
        self.fabric.backward(loss)
        if probe is not None:
            probe.gradients()
        norm = get_total_norm([p.grad for p in self.parameters if p.grad is not None], foreach=True)
        if recipe.clip is not None:
            clip_grads_with_norm_(self.parameters, recipe.clip, norm, foreach=True)
        with probe.change() if probe else nullcontext():
            self.stepper.step()
        logits = logits.detach()
        plain = F.cross_entropy(logits, y) if recipe.label_smoothing else loss.detach()
        return torch.stack([plain.double() * len(y), (logits.argmax(1) == y).sum().double(), norm.double()])

    def _recorded(self, step: int) -> list[int]:
        """For which epochs' flow records this step stands: 0 for the first of all, k for the last of epoch k."""
        if not self.spec.flow:
            return []
        epoch, rest = divmod(step + 1, len(self.batches))
        return ([0] if step == 0 else []) + ([epoch] if rest == 0 else [])

    def _rate(self, step: int) -> float:
        return learning_rate(self.spec.recipe, step, self.spec.epochs * len(self.batches))

    def _result(self) -> RunResult:
        began = time.perf_counter()
        test_loss, test_accuracy = evaluate(self.model, self.data.test, self.pixels)
        best, last = best_epoch(self.epochs), self.epochs[-1]
        losses = [test_loss, *(loss for e in self.epochs for loss in (e.train_loss, e.val_loss))]
        return RunResult(
            test_accuracy=test_accuracy,
            test_loss=test_loss,
            best_val_accuracy=best.val_accuracy,
            best_val_epoch=best.epoch,
            last_val_accuracy=last.val_accuracy,
            turned_epoch=turned_epoch(self.epochs),
            overfitting_gap=last.train_gap,
            finite=all(map(math.isfinite, losses)),
            num_parameters=sum(p.numel() for p in self.bare.parameters()),
            epochs=len(self.epochs),
            wall_seconds=sum(e.seconds for e in self.epochs) + time.perf_counter() - began,
            out=self.spec.out,
        )


def _channels_last(model: nn.Module) -> nn.Module:
    """Lay filters out as 2-D convolutions like them best; a network with 3-D ones is left as it is."""
    if any(p.ndim == 5 for p in model.parameters()):
        return model
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fabric(spec: RunSpec) -> Fabric:
    """One device by name: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`."""
    kind, _, index = spec.device.partition(":")
    if index and not index.isdecimal():
        raise SkipstoneError(f"device is {spec.device!r}, expected auto, cpu, cuda, cuda:1 or mps")
    try:
        return Fabric(
            accelerator=kind,
            devices=[int(index)] if index else 1,
            precision=_PRECISIONS[spec.recipe.precision],  # type: ignore[arg-type]
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise SkipstoneError(f"device {spec.device!r} cannot be used: {error}") from error
