"""The trainer: a network, a data set and a recipe, on whatever device lightning-fabric finds."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from torch import nn

from skipstone.core.codec import Json, RecordError
from skipstone.core.errors import SkipstoneError
from skipstone.data import Batches, Pixels, load
from skipstone.data.images import Images, permutation
from skipstone.flow import Probe
from skipstone.runs.flow import FlowRecord
from skipstone.runs.folder import FolderError, RunFolder, demand_free, demand_same, holds_work
from skipstone.runs.records import BEST_FILE, EpochRecord, RunResult, RunSpec, Views, read_run
from skipstone.runs.stopping import ending, lowest_loss_epoch
from skipstone.training.checkpoint import CheckpointError, pack, unpack
from skipstone.training.environment import describe
from skipstone.training.evaluate import evaluate
from skipstone.training.fabric import make_fabric, precision_on
from skipstone.training.loop import Loop, StepWatch
from skipstone.training.memory import keep_freed_memory
from skipstone.training.model import Builder, build_model
from skipstone.training.overfitting import best_epoch, turned_epoch
from skipstone.training.progress import Progress, Silent
from skipstone.training.ranks import ALONE, Ranks, joined
from skipstone.training.synced_norm import sync_norms
from skipstone.training.torchrun import launch
from skipstone.training.trial import Bench, fit_whitening, lay_out, seeded_build


def train(
    spec: RunSpec, *, resume: bool = False, progress: Progress | None = None, build: Builder = build_model
) -> RunResult:
    """Train the network of `spec`, to its last epoch or as its stop rule says, and measure it on the test images, once.

    With `spec.out` a run folder is written, its checkpoint replaced at every epoch; `resume` goes on from that
    checkpoint, starts the run if there is none, and returns the result of a finished one. A folder in which no epoch
    was ever finished is taken over. Before anything is written the network is tried on a twin, as training will run it.

    On a CPU a run gives the same numbers bit for bit each time, resumed or not, on one machine with one number of
    threads. Where a network keeps state that no checkpoint holds, `progress` is told, and why. `progress` is told of
    every step and epoch; `build` makes the network (default: from `spec.model`). Random states of the caller are left
    alone. A process on Linux keeps the memory it frees from here on (see `keep_freed_memory`).

    Raises:
        SkipstoneError: the folder holds a run (or, to resume, another spec's), the data cannot be read, or the network
            cannot be built or does not fit the data. Nothing has been written then.
        RunFailed: the network raised while it was trained. The epochs before are kept, and `resume` goes on from them.
        FolderError: the folder cannot be written, as on a full disk. What was finished is kept.
    """
    progress = progress or Silent()
    ranks = joined(spec.devices)
    if not ranks.first:
        progress = Silent()
    if spec.devices > ranks.world:
        if build is not build_model:
            raise SkipstoneError("a network of `build` cannot be trained on several devices; give a target")
        return launch(spec, resume=resume, progress=progress)
    if spec.out is None:
        return prepare(spec, progress, build).finish(progress, None)
    path = Path(spec.out)
    continues, result = ranks.from_first(lambda: _found(path, spec, resume=resume))
    if result is not None:
        return result
    run = Run(spec, build, ranks)
    folder = RunFolder(path) if ranks.first else None
    try:
        if continues:
            if folder is not None:
                folder.hold()
            run.restore(folder, progress)
        else:
            run.begin(progress)
            if folder is not None:
                folder.create(spec, run.environment)
        return run.finish(progress, folder)
    finally:
        if folder is not None:
            folder.release()


def _found(path: Path, spec: RunSpec, *, resume: bool) -> tuple[bool, RunResult | None]:
    """(is there a run to go on with, its result if it has ended); raises where the folder can't be used as asked."""
    if not (resume and holds_work(path)):
        demand_free(path)
        return False, None
    record = read_run(path)
    demand_same(record, spec)
    return True, record.result


def prepare(spec: RunSpec, progress: Progress, build: Builder = build_model) -> "Run":
    """A run that stands before its first step, its network tried, nothing written."""
    return Run(spec, build).begin(progress)


def _demand_views(views: Views, shape: Sequence[int], label_shape: Sequence[int]) -> None:
    """Raise where test inputs have no such views."""
    if views > 1 and len(shape) != 3:
        raise SkipstoneError(f"views={views} is of images (C, H, W), and these inputs are {tuple(shape)}")
    if views > 2 and label_shape:
        raise SkipstoneError(f"views={views} is of images with one label; where each pixel has one, 1 or 2 are")


class Run:
    """Everything a run holds in memory. Of several `ranks` each has one, and the first alone a folder."""

    def __init__(self, spec: RunSpec, build: Builder, ranks: Ranks = ALONE) -> None:
        keep_freed_memory()
        self.spec, self.ranks = spec, ranks
        self.fabric = make_fabric(ranks.device(spec.device), spec.recipe.precision)
        device = self.fabric.device
        if spec.recipe.cuda_graph and (device.type != "cuda" or ranks.world > 1):
            where = f"{ranks.world} devices" if ranks.world > 1 else device.type
            raise SkipstoneError(f"cuda_graph is of one CUDA device, and this run is on {where}; leave it out")
        self.data = load(spec.data, spec.data_dir, val_fraction=spec.val_fraction, split_seed=spec.split_seed)
        shape, classes = self.data.shape, self.data.num_classes
        _demand_views(spec.recipe.views, shape, self.data.label_shape)
        if build is build_model:
            build = partial(build_model, label_shape=self.data.label_shape)
        pixels = Pixels.of(self.data.train)
        self.build: Callable[[], nn.Module] = lambda: fit_whitening(
            seeded_build(lambda: build(spec, shape, classes), spec.seed), pixels, self.data.train
        )
        self.network = self.build()
        augmentation = self.data.augmentation_for(spec.recipe.augmentation)
        self.batches = Batches(
            self.data.train,
            spec.recipe.batch_size,
            augmentation=augmentation,
            padding=spec.recipe.padding,
            flips=spec.recipe.flips,
            pixels=pixels,
            seed=spec.seed,
            device=device,
            part=ranks.part,
        )
        sample = permutation(len(self.data.train), spec.split_seed)[: len(self.data.val)]
        self.train_sample = self.data.train[sample]
        self.environment = describe(device, augmentation, precision_on(device.type, spec.recipe.precision)) | {
            "data": self.data.digest()
        }
        self.epochs: list[EpochRecord] = []
        self._best: bytes = b""

    def begin(self, progress: Progress) -> "Run":
        """Try the network, and stand before the first step."""
        trial = Bench(self.spec, self.data, self.batches, self.fabric, self.build).try_out(self.network)
        for note in trial.notes:
            progress.noted(note)
        self.environment |= {"channels_last": trial.channels_last, "notes": list(trial.notes)}
        if trial.unused:
            self.environment["unused"] = list(trial.unused)
        self._prepare(self.environment)
        return self

    def restore(self, folder: RunFolder | None, progress: Progress) -> None:
        """Go back to where the newest checkpoint that can be read was written."""
        path = Path(str(self.spec.out))
        before = self.ranks.from_first(lambda: read_run(path).environment)
        if before.get("data", self.environment["data"]) != self.environment["data"]:
            raise FolderError(
                f"{path}: the data is not what the run began with: {self.spec.data} has the fingerprint "
                f"{self.environment['data']} now, {before['data']} then"
            )
        self._prepare(before)
        self.epochs = self.ranks.from_first(lambda: self._restored(folder or RunFolder(path), progress))
        if self.ranks.world > 1:
            # The bytes of what the first one has now: the others may not see its storage.
            packed = self.ranks.from_first(self._packed)
            unpack(packed, self.loop.bare, self.loop.optimizer)
        if self.spec.stop.patience is not None:
            self._keep_best(folder)

    def _restored(self, folder: RunFolder, progress: Progress) -> list[EpochRecord]:
        """Put the newest checkpoint that can be read into the network; the epochs behind it."""
        refused: list[str] = []
        for path in folder.checkpoints():
            try:
                epoch = unpack(path.read_bytes(), self.loop.bare, self.loop.optimizer)
            except (CheckpointError, OSError) as error:
                refused.append(f"{path}: {error}")
                continue
            for reason in refused:
                progress.noted(f"{reason}; going on from {path.name}, after epoch {epoch}")
            return list(folder.resume(epoch, self.environment).epochs)
        raise RecordError(f"{'; '.join(refused)}; no other checkpoint is there, so the run has to be begun anew")

    def _prepare(self, found: Json) -> None:
        """Make the loop, as the trial has found (`found`, the run's environment) that the network is to be trained."""
        channels_last = bool(found.get("channels_last", True))
        self.batches.lay_out(channels_last=channels_last)
        if self.ranks.world > 1:
            sync_norms(self.network)
            self.fabric = make_fabric(
                self.spec.device, self.spec.recipe.precision, self.ranks, unused="unused" in found
            )
        self.loop = Loop(
            lay_out(self.network, channels_last=channels_last),
            self.batches,
            self.spec.recipe,
            epochs=self.spec.epochs,
            seed=self.spec.seed,
            fabric=self.fabric,
            name=self.spec.model,
            ranks=self.ranks,
        )

    def finish(self, progress: Progress, folder: RunFolder | None) -> RunResult:
        """Train the epochs that are left, measure, and write the result."""
        progress.started(self.spec, len(self.batches), len(self.epochs))
        while len(self.epochs) < self.spec.epochs and not ending(self.spec.stop, self.epochs):
            record, flow = self._epoch(len(self.epochs) + 1, progress)
            self.epochs.append(record)
            if folder is not None:
                folder.append(record, flow)
                folder.keep(self._packed())
            if self.spec.stop.patience is not None:
                self._keep_best(folder)
            progress.finished_epoch(record)
        result = self._result()
        if folder is not None:
            folder.finish(result)
        return result

    def _packed(self) -> bytes:
        return pack(self.loop.bare, self.loop.optimizer, len(self.epochs))[0]

    def _keep_best(self, folder: RunFolder | None) -> None:
        """Keep the network as it stands where the epoch behind it is the best so far; else what was kept before."""
        if lowest_loss_epoch(self.epochs) == len(self.epochs):
            self._best = self._packed()
            if folder is not None:
                folder.keep_best(self._best)
        elif not self._best and folder is not None and (folder.path / BEST_FILE).is_file():
            self._best = (folder.path / BEST_FILE).read_bytes()

    def _take_best(self) -> int:
        """With early stopping, go back to the best epoch, which no later one has overwritten. The epoch to test."""
        wanted = self.spec.stop.patience is not None and lowest_loss_epoch(self.epochs) < len(self.epochs)
        if wanted and (best := self.ranks.from_first(lambda: bytes(self._best))):
            return unpack(best, self.loop.bare, self.loop.optimizer)
        return len(self.epochs)

    def _epoch(self, number: int, progress: Progress) -> tuple[EpochRecord, list[FlowRecord]]:
        began = time.perf_counter()
        flow: list[FlowRecord] = []

        def stepped(step: int, probe: Probe | None) -> None:
            if probe is not None:
                flow.extend(probe.record(epoch=epoch, step=step) for epoch in self._recorded(step))
            progress.stepped(number)

        watch = StepWatch(lambda step: Probe(self.loop.bare) if self._recorded(step) else None, stepped)
        means = self.loop.epoch(number, watch)
        _, sample_accuracy = self._measure(self.train_sample)
        val_loss, val_accuracy = self._measure(self.data.val)
        record = EpochRecord(
            epoch=number,
            train_loss=means.loss,
            train_accuracy=means.accuracy,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            lr=self.loop.rate(number * len(self.batches) - 1),
            train_gap=sample_accuracy - val_accuracy,
            grad_norm=means.grad_norm,
            seconds=time.perf_counter() - began,
        )
        # Measured sums may round otherwise in another process, and what ends a run must end it in all of them.
        return self.ranks.from_first(lambda: record), flow

    def _measure(self, images: Images, *, views: Views = 1) -> tuple[float, float]:
        return evaluate(self.loop.model, images, self.batches.pixels, self.ranks, views=views)

    def _tested(self) -> tuple[float, float]:
        return self._measure(self.data.test, views=self.spec.recipe.views)

    def _recorded(self, step: int) -> list[int]:
        """For which epochs' flow records this step stands: 0 for the first of all, k for the last of epoch k."""
        if not self.spec.flow or not self.ranks.first:
            return []
        epoch, rest = divmod(step + 1, len(self.batches))
        return ([0] if step == 0 else []) + ([epoch] if rest == 0 else [])

    def _result(self) -> RunResult:
        began = time.perf_counter()
        tested = self._take_best() if self.spec.test else None
        test_loss, test_accuracy = self._tested() if self.spec.test else (math.nan, math.nan)
        best, last = best_epoch(self.epochs), self.epochs[-1]
        losses = [
            *([test_loss] if self.spec.test else []),
            *(loss for e in self.epochs for loss in (e.train_loss, e.val_loss)),
        ]
        return RunResult(
            test_accuracy=test_accuracy,
            test_loss=test_loss,
            best_val_accuracy=best.val_accuracy,
            best_val_epoch=best.epoch,
            last_val_accuracy=last.val_accuracy,
            turned_epoch=turned_epoch(self.epochs),
            overfitting_gap=last.train_gap,
            finite=all(map(math.isfinite, losses)),
            num_parameters=sum(p.numel() for p in self.loop.bare.parameters()),
            epochs=len(self.epochs),
            wall_seconds=sum(e.seconds for e in self.epochs) + time.perf_counter() - began,
            out=self.spec.out,
            stopped=ending(self.spec.stop, self.epochs) if len(self.epochs) < self.spec.epochs else "",
            tested_epoch=tested,
        )
