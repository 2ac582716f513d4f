"""One training run: what was asked (`RunSpec`), what happened (`EpochRecord`, `FlowRecord`), the end (`RunResult`).

A run folder holds, written by the trainer and read by the report without torch:

    spec.json         RunSpec, versioned
    environment.json  versions, processor, threads: whatever the numbers may depend on
    metrics.jsonl     EpochRecord, a line an epoch; epochs count from 1
    flow.jsonl        FlowRecord, a line for step 0 (epoch 0) and one an epoch
    checkpoint.pt     everything --resume needs, replaced at every epoch
    checkpoint.previous.pt   the one before, should the newest ever be unreadable
    checkpoint.best.pt       with early stopping, that of the lowest validation loss
    result.json       RunResult, versioned; there only once the run has finished

Accuracies are fractions (0.91), losses mean cross-entropy in nats, times seconds.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from skipstone.core.codec import Json, RecordError, decode, encode
from skipstone.core.errors import SkipstoneError
from skipstone.runs.flow import FlowRecord
from skipstone.runs.stopping import Ending, StopRule
from skipstone.runs.variants import demand_edits

VERSION = 1
"""Of the files in a run folder. It rises when a key changes its meaning or goes away; new optional keys leave it."""

SPEC_FILE = "spec.json"
ENVIRONMENT_FILE = "environment.json"
METRICS_FILE = "metrics.jsonl"
FLOW_FILE = "flow.jsonl"
CHECKPOINT_FILE = "checkpoint.pt"
PREVIOUS_FILE = "checkpoint.previous.pt"
BEST_FILE = "checkpoint.best.pt"
RESULT_FILE = "result.json"

Optimizer = Literal["sgd", "adamw"]
Schedule = Literal["one-cycle", "cosine", "step", "constant"]
Augmentation = Literal["auto", "none", "crop", "crop-flip"]
Precision = Literal["fp32", "bf16", "auto"]
Padding = Literal["reflect", "zeros"]
Flips = Literal["random", "alternating"]
Views = Literal[1, 2, 6]
Decayed = Literal["weights", "all"]
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train; every field is a flag of `skipstone train` and a key of a recipe file.

    `warmup` is the share of all steps in which the rate rises linearly to `lr`. `one-cycle` then falls linearly to
    zero, `cosine` along half a cosine, `step` by 10 after half and after three quarters of all steps, `constant` not
    at all. `augmentation` "auto" is crop-flip on CIFAR and none on digits, where a mirrored 2 is no digit. `clip`
    bounds the norm of the whole gradient. `momentum` and `nesterov` are SGD's; AdamW takes torch's own betas.
    Weight decay leaves biases and normalisation parameters alone, unless `decayed` is "all". `padding` is what crops
    are taken from beyond the edge; `flips` "alternating" mirrors each image in every other epoch. `precision` "auto" is
    bf16 where the device computes in it, else fp32.
    `views` of each test image are averaged: 2 are it and its mirror image, 6 these moved by a pixel to two corners too;
    validation is without.
    `cuda_graph` records a step on a GPU once and replays it: for networks whose Python does the same at each step.
    """

    optimizer: Optimizer = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    decayed: Decayed = "weights"
    schedule: Schedule = "one-cycle"
    warmup: float = 0.2
    batch_size: int = 128
    label_smoothing: float = 0.0
    augmentation: Augmentation = "auto"
    padding: Padding = "reflect"
    flips: Flips = "random"
    views: Views = 1
    clip: float | None = None
    precision: Precision = "fp32"
    cuda_graph: bool = False

    def __post_init__(self) -> None:
        _demand(self.lr > 0 and math.isfinite(self.lr), "lr", self.lr, "a number above 0")
        _demand(0 <= self.momentum < 1, "momentum", self.momentum, "at least 0 and below 1")
        _demand(
            not self.nesterov or self.momentum > 0 or self.optimizer != "sgd",
            "momentum",
            self.momentum,
            "above 0 with nesterov, or nesterov off",
        )
        _demand(0 <= self.weight_decay < math.inf, "weight_decay", self.weight_decay, "at least 0, and a number")
        _demand(0 <= self.warmup < 1, "warmup", self.warmup, "a share of all steps, at least 0 and below 1")
        _demand(self.batch_size >= 1, "batch_size", self.batch_size, "at least 1")
        _demand(0 <= self.label_smoothing < 1, "label_smoothing", self.label_smoothing, "at least 0 and below 1")
        _demand(self.views in get_args(Views), "views", self.views, "1, 2 or 6")
        _demand(self.clip is None or 0 < self.clip < math.inf, "clip", self.clip, "a number above 0, or none")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run, fully: the same spec on the same machine's CPU gives the same numbers, bit for bit.

    `model` is a target as on the command line (`skipstone:resnet20`, `file.py:Name(64)`, `package.module:Name`),
    `options` its keyword arguments (JSON values). `data` is `digits`, `cifar10` or `cifar100`, in `data_dir` if given.
    `val_fraction` of the training images is held out by a permutation that `split_seed` fixes; `seed` decides
    initialisation, order and augmentation. `device` is `auto` or a name torch knows. `out` is the run folder, None
    for a run that writes nothing. `flow` records the norms of each layer's gradient and weights. `edits` are carried
    out on the network as built, so that what variants have in common starts from equal weights; `variant` is their
    name. `stop` may end the run before its last epoch. Without `test` the test images are left alone.
    `devices` share each batch, a process each; its size stays that of the recipe.
    """

    model: str = "skipstone:resnet20"
    options: Mapping[str, Any] = field(default_factory=dict)
    data: str = "digits"
    data_dir: str | None = None
    recipe: Recipe = field(default_factory=Recipe)
    epochs: int = 10
    seed: int = 0
    device: str = "auto"
    out: str | None = None
    flow: bool = True
    val_fraction: float = 0.1
    split_seed: int = 0
    variant: str = ""
    edits: tuple[str, ...] = ()
    stop: StopRule = field(default_factory=StopRule)
    test: bool = True
    devices: int = 1

    def __post_init__(self) -> None:
        demand_edits(self.edits)
        _demand(self.devices >= 1, "devices", self.devices, "at least 1")
        _demand(self.epochs >= 1, "epochs", self.epochs, "at least 1")
        _demand(self.seed >= 0, "seed", self.seed, "at least 0")
        # The split is drawn by numpy, whose seeds end there.
        _demand(0 <= self.split_seed < 2**32, "split_seed", self.split_seed, "0 or more and below 2**32")
        _demand(0 < self.val_fraction < 1, "val_fraction", self.val_fraction, "above 0 and below 1")

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "RunSpec":
        return decode(cls, data, version=VERSION, where=where)


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """A line of `metrics.jsonl`.

    `train_loss` and `train_accuracy` are means over the epoch's batches as trained on: augmented, in train mode, while
    the weights moved; the loss without label smoothing, so that it compares with `val_loss`. `train_gap` is the fair
    comparison: accuracy on as many training images as there are validation images, unaugmented and in eval mode,
    less `val_accuracy`. `lr` is that of the epoch's last step; `grad_norm` the mean over steps of the norm of the
    whole gradient (before clipping). `seconds` is wall time and the one number that repeats do not share.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    lr: float
    train_gap: float
    grad_norm: float
    seconds: float

    def to_dict(self) -> Json:
        return encode(self)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "EpochRecord":
        return decode(cls, data, where=where)


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a finished run ended.

    `test_accuracy` is taken once, with the weights after `tested_epoch`: the last one, or with early stopping that of
    the lowest validation loss; NaN where the spec leaves the test images alone. `best_val_*` is the highest validation
    accuracy and its first epoch. `turned_epoch` is the epoch of the lowest validation loss if the loss has risen since,
    to the end, by more than 1 %; None if it never turned. `overfitting_gap` is the last epoch's `train_gap`. `finite`
    says that no loss was NaN or infinite. `wall_seconds` adds up over resumed parts. `stopped` says which part of the
    stop rule ended the run before its last epoch; `epochs` counts those trained.
    """

    test_accuracy: float
    test_loss: float
    best_val_accuracy: float
    best_val_epoch: int
    last_val_accuracy: float
    turned_epoch: int | None
    overfitting_gap: float
    finite: bool
    num_parameters: int
    epochs: int
    wall_seconds: float
    out: str | None = None
    stopped: Ending = ""
    tested_epoch: int | None = None

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "RunResult":
        return decode(cls, data, version=VERSION, where=where)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run folder as read. `result` is None while the run is unfinished, `flow` empty where it was not recorded."""

    folder: Path
    spec: RunSpec
    environment: Json
    epochs: tuple[EpochRecord, ...]
    flow: tuple[FlowRecord, ...]
    result: RunResult | None


def read_run(folder: str | Path, *, flow: bool = True, epochs: Literal["all", "tested"] = "all") -> RunRecord:
    """Read a run folder, finished or not; without `flow` the largest of its files is left unread.

    Of "tested" epochs there is one: that whose weights were tested, the last where the result names none.

    Raises:
        RecordError: there is no `spec.json`, or a file is not what skipstone writes; the text names the file.
    """
    path = Path(folder)
    if not (path / SPEC_FILE).is_file():
        raise RecordError(f"{path} is no run folder: it has no {SPEC_FILE}")
    ended = path / RESULT_FILE
    result = RunResult.from_dict(read_json(ended), str(ended)) if ended.is_file() else None
    environment = path / ENVIRONMENT_FILE
    read = slice(None)
    if epochs == "tested":
        tested = result.tested_epoch if result else None
        read = slice(-1, None) if tested is None else slice(tested - 1, tested)
    return RunRecord(
        folder=path,
        spec=RunSpec.from_dict(read_json(path / SPEC_FILE), str(path / SPEC_FILE)),
        environment=read_json(environment) if environment.is_file() else {},
        epochs=tuple(_lines(EpochRecord, path / METRICS_FILE, read)),
        flow=tuple(read_lines(FlowRecord, path / FLOW_FILE)) if flow else (),
        result=result,
    )


def read_json(path: Path) -> Any:
    """The value of a JSON file; `RecordError` naming it where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path}: cannot be read as JSON: {error}") from error


def read_lines(cls: type[R], path: Path) -> list[R]:
    """The records of a JSONL file; none where there is no file. A last line cut off by a crash is left out."""
    return list(_lines(cls, path))


def read_leading_lines(cls: type[R], path: Path, wanted: Callable[[R], bool]) -> list[R]:
    """The records at the head of a JSONL file that are `wanted`, up to the first that is not, or that is no record."""
    records = []
    try:
        for record in _lines(cls, path):
            if not wanted(record):
                break
            records.append(record)
    except RecordError:
        pass  # beyond what is wanted anything may stand; the caller counts what it got
    return records


def _lines(cls: type[R], path: Path, wanted: slice = slice(None)) -> Iterator[R]:
    if not path.is_file():
        return
    *whole, _cut = path.read_bytes().split(b"\n")
    for number, line in list(enumerate(whole, start=1))[wanted]:
        where = f"{path}:{number}"
        try:
            data = json.loads(line)
        except ValueError as error:
            raise RecordError(f"{where}: not JSON: {error}") from error
        yield decode(cls, data, where=where)


def _demand(holds: bool, name: str, value: object, expected: str) -> None:
    if not holds:
        raise SkipstoneError(f"{name} is {value!r}, expected {expected}")
