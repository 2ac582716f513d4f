"""skipstone train: train one network and write a run folder."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from skipstone.cli import arguments, output
from skipstone.core.errors import SkipstoneError, printable
from skipstone.experiments.runner import RunProgress, Watcher
from skipstone.runs.folder import read_asked
from skipstone.runs.records import EpochRecord, RunResult, RunSpec
from skipstone.runs.stopping import StopRule


def run(
    *,
    out: Path,
    model: str | None = None,
    options: Annotated[list[str] | None, Parameter(name=["--option", "--options"], negative="")] = None,
    data: str | None = None,
    data_dir: arguments.DataFolder = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    devices: int | None = None,
    edits: Annotated[
        list[str] | None, Parameter(name=["--edit", "--edits"], negative="", consume_multiple=False)
    ] = None,
    flow: Annotated[bool | None, Parameter(negative="--no-flow")] = None,
    val_fraction: float | None = None,
    split_seed: int | None = None,
    patience: arguments.Patience = None,
    recipe: arguments.RecipeName = None,
    flags: Annotated[arguments.RecipeFlags | None, Parameter(name="*")] = None,
    logs: Annotated[arguments.LoggingFlags | None, Parameter(name="*")] = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    format: arguments.TextOrJson = "text",
) -> int:
    """Train one network and write a run folder.

    The folder holds spec, environment, a line of metrics and of gradient flow an epoch, a checkpoint, and the result
    once the run has finished. Ctrl-C, or worse, leaves a run that --resume takes up after its last whole epoch.
    Exit status: 0 finished, 2 could not run, 130 interrupted.

    Parameters
    ----------
    out
        The run folder: a new one, or with --resume the one to go on in.
    model
        The network: skipstone:resnet20, file.py:Name, file.py:factory(64, 128), package.module:Name.
    options
        An argument for it, as name=value (width=8, shortcut=A); may be repeated.
    data
        digits (default), cifar10, cifar100, folder:PATH of pictures (folder:PATH@64 resizes them), or
        file.py:make_data, a function that returns datasets.
    epochs
        Times through the training images. Default 10.
    seed
        Decides initialisation, order and augmentation. Default 0.
    device
        auto (default), cpu, cuda, cuda:1, mps.
    devices
        How many devices share each batch, a process each, started by torchrun; the batch stays that of --batch-size.
        A killed process starts again from the checkpoint. Default 1.
    edits
        A change of the network before it is trained: ablate:all, 'connect:layer1 layer3'; may be repeated.
    flow
        Record each layer's gradient and weight norms. On by default.
    val_fraction
        Share of the training images held out for validation. Default 0.1.
    split_seed
        Which images those are. Default 0.
    resume
        Go on with the run in --out. Other flags are not needed, and if given must be those of the run.
    format
        text, or json for the content of result.json.
    """
    from skipstone.integrations.run_logging import following
    from skipstone.training import train
    from skipstone.training.ranks import joined

    given = {
        "model": model, "options": None if options is None else dict(map(arguments.assignment, options)), "data": data,
        "data_dir": None if data_dir is None else str(data_dir), "epochs": epochs, "seed": seed, "device": device,
        "devices": devices,
        "flow": flow, "val_fraction": val_fraction, "split_seed": split_seed,
        "edits": None if edits is None else tuple(edits),
        "stop": None if patience is None else StopRule(patience),
    }  # fmt: skip
    spec = _spec(
        str(out), {k: v for k, v in given.items() if v is not None}, recipe, flags or arguments.RecipeFlags(), resume
    )
    logging = (logs or arguments.LoggingFlags()).logging()
    progress = _EpochLines()
    try:
        with following(logging, [spec], None, output.note) as progress.watch, progress:
            result = train(spec, resume=resume, progress=progress)
    except KeyboardInterrupt:
        output.note(progress.interrupted(spec))
        return 130
    if joined(spec.devices).first:  # under a torchrun of the user's own every process comes here
        print(json.dumps(result.to_dict(), indent=1) if format == "json" else printable(summary(spec, result)))
    return 0


def summary(spec: RunSpec, result: RunResult) -> str:
    """What came of a run, in a few lines."""
    turned = (
        f"validation turned after epoch {result.turned_epoch}" if result.turned_epoch else "validation never turned"
    )
    ahead = f"{100 * result.overfitting_gap:.1f} points" if result.overfitting_gap >= 0 else "no points"
    lines = [
        f"{spec.model} on {spec.data}, seed {spec.seed}: test accuracy {100 * result.test_accuracy:.2f} %",
        f"  validation   {100 * result.last_val_accuracy:.2f} % after epoch {result.epochs}, best "
        f"{100 * result.best_val_accuracy:.2f} % after epoch {result.best_val_epoch}",
        f"  overfitting  training images {ahead} ahead of validation images; {turned}",
        f"  network      {result.num_parameters:,} parameters",
        f"  time         {result.wall_seconds:.1f} s",
        f"  folder       {result.out}",
    ]
    if result.stopped == "patience":
        lines.insert(1, f"  stopped      early; tested is the network as it was after epoch {result.tested_epoch}")
    if not result.finite:
        lines.insert(1, "  diverged     a loss became NaN or infinite")
    return "\n".join(lines)


def _spec(out: str, given: dict[str, Any], recipe: str | None, flags: arguments.RecipeFlags, resume: bool) -> RunSpec:
    """What flags say, over what the recipe's file says, over what the run to resume was asked for."""
    from skipstone.runs.recipe_file import override, read_setup, recipe_path

    base = replace(read_asked(Path(out)), out=out) if resume else RunSpec(out=out)
    filed = (
        read_setup(recipe_path(recipe), flags.given()) if recipe else {"recipe": override(base.recipe, flags.given())}
    )
    if "model" in given:  # another network than the file's has other options
        filed = {"recipe": filed["recipe"]}
    if not resume and "model" not in {**filed, **given}:
        raise SkipstoneError("no network to train; give --model, or --resume to go on with the run in --out")
    return replace(base, **{**filed, **given})


class _EpochLines:
    """A bar and a line an epoch on stderr; the lines alone where it is no terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = output.console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False), BarColumn(bar_width=28), MofNCompleteColumn(),
            TextColumn("steps"), TimeRemainingColumn(),
        )  # fmt: skip
        self._bar = Progress(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("loading", total=None)
        self._spec: RunSpec | None = None
        self.watch: Watcher | None = None
        self._done = 0

    def __enter__(self) -> "_EpochLines":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def started(self, spec: RunSpec, steps_per_epoch: int, epochs_done: int) -> None:
        self._spec, self._done = spec, epochs_done
        total, done = spec.epochs * steps_per_epoch, epochs_done * steps_per_epoch
        self._bar.update(self._task, description=f"epoch {epochs_done + 1}", total=total, completed=done)
        if epochs_done:
            self._console.print(f"resumed after epoch {epochs_done} of {spec.epochs}")
        self._console.print(f"{'epoch':>9}  train loss  accuracy   val loss  accuracy      gap       s", style="dim")

    def noted(self, text: str) -> None:
        self._console.print(f"note: {text}", markup=False)

    def stepped(self, epoch: int) -> None:
        self._bar.update(self._task, advance=1, description=f"epoch {epoch}")

    def finished_epoch(self, record: EpochRecord) -> None:
        self._done = record.epoch
        if self.watch is not None:
            self.watch(RunProgress(0, record.epoch))
        of = self._spec.epochs if self._spec else record.epoch
        self._console.print(
            f"{record.epoch:>4}/{of:<4}  {record.train_loss:10.4f}  {100 * record.train_accuracy:6.2f} %  "
            f"{record.val_loss:9.4f}  {100 * record.val_accuracy:6.2f} %  {100 * record.train_gap:+7.2f}"
            f"  {record.seconds:6.1f}"
        )

    def interrupted(self, spec: RunSpec) -> str:
        if self._spec is None:
            return "skipstone: interrupted before the first step"
        after = f"after epoch {self._done} of {spec.epochs}" if self._done else "in its first epoch"
        return f"skipstone: interrupted {after}; go on with: skipstone train --resume --out {spec.out}"
