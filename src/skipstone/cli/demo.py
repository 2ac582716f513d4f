"""skipstone demo: check the tutorials' networks, train plain / residual / dense, write a report."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skipstone.cli import output

if TYPE_CHECKING:
    from skipstone.experiments import LocalRunner

MODELS = ("plain20", "resnet20", "dense20", "plain56", "resnet56", "dense56")
SEEDS, EPOCHS, WIDTH = 3, 15, 8


@dataclass(frozen=True, slots=True)
class Specimen:
    """A tutorial's network, as a target, and the shape of its input, batch axis first."""

    target: str
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.target.partition(":")[2]


_TUTORIALS = "skipstone.models.tutorials"
SPECIMENS = (
    Specimen(f"{_TUTORIALS}:LayerOneToThree", (2, 3, 32, 32)),
    Specimen(f"{_TUTORIALS}:TwoConvResidual", (2, 3, 32, 32)),
    Specimen(f"{_TUTORIALS}:TwoConvResidualRepaired", (2, 3, 32, 32)),
    Specimen(f"{_TUTORIALS}:ResNetBlock(64, 128)", (2, 64, 32, 32)),
    Specimen(f"{_TUTORIALS}:ResNetBlockRepaired(64, 128)", (2, 64, 32, 32)),
    Specimen(f"{_TUTORIALS}.keras_block:keras_residual_block", (2, 64, 64, 64)),
    Specimen(f"{_TUTORIALS}:ResidualBlock(16, 32)", (2, 16, 32, 32)),
    Specimen(f"{_TUTORIALS}:SkipConnectionBlock", (2, 32, 32, 32)),
    Specimen(f"{_TUTORIALS}:DeepCNN", (2, 3, 32, 32)),
    Specimen(f"{_TUTORIALS}:DeepCNNRepaired", (2, 3, 32, 32)),
    Specimen(f"{_TUTORIALS}:FinishedCNN", (2, 3, 32, 32)),
)


def run(*, out: Path = Path("demo"), workers: int | None = None) -> int:
    """Check the tutorials' networks, train plain, residual and dense ones on the digits, write a report.

    Takes one to two minutes on two cores. What is complete in --out from a demo before is not trained again; remove
    the folder to see it train.

    Parameters
    ----------
    out
        Folder for the runs and the report.
    workers
        How many runs at a time; as many as there are cores if not given.
    """
    from skipstone.core.files import make_folder
    from skipstone.experiments.local import LocalRunner

    started = time.monotonic()
    runner = LocalRunner(workers)
    make_folder(out)
    print("1. The tutorials' networks, checked as they stand\n", flush=True)
    _check_tutorials()
    print(f"\n2. Plain, residual and dense networks on the digits: {SEEDS} seeds, {EPOCHS} epochs each\n", flush=True)
    complete = _compare(out, runner)
    print(f"\n3. The report: {(out / 'report.html').resolve()}")
    print("   Next, a network of your own: skipstone check their_file.py:TheirNet --input 3x32x32")
    print(f"took {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0 if complete else 1


def _check_tutorials() -> None:
    """One line a network, then in full what was found."""
    from rich.rule import Rule
    from rich.text import Text

    from skipstone.checks import check
    from skipstone.models.target import resolve
    from skipstone.models.tutorials.keras_block import KerasMissingError

    console = output.table_console(width=None if sys.stdout.isatty() else 100)
    found = []
    for specimen in SPECIMENS:
        try:
            report = check(resolve(specimen.target), specimen.shape)
        except KerasMissingError as missing:
            print(f"  {specimen.name:<32} not checked: {missing}")
            continue
        print(f"  {specimen.name:<32} {report.summary}", flush=True)
        if report.errors:
            found.append((specimen, report))
    for specimen, report in found:
        console.print()
        console.print(Rule(Text(f"{specimen.name}, input {specimen.shape}"), align="left", style="dim"))
        print(report)


def _compare(out: Path, runner: "LocalRunner") -> bool:
    from skipstone.cli.progress import progress_bars
    from skipstone.experiments import compare, plan
    from skipstone.report import write_report
    from skipstone.runs.records import RunSpec

    base = RunSpec(data="digits", epochs=EPOCHS, options={"width": WIDTH}, device="cpu")
    specs = plan(MODELS, out=out, base=base, seeds=SEEDS)
    with progress_bars(specs) as watch:
        comparison = compare(specs, out, against="plain", runner=runner, watch=watch)
    if any(outcome.status == "interrupted" for outcome in comparison.outcomes):
        raise KeyboardInterrupt
    kept = sum(outcome.status == "kept" for outcome in comparison.outcomes)
    if kept:
        print(f"{kept} of {len(specs)} runs were complete in {out} from before and were not trained again.")
    output.show_comparison(comparison)
    _show_epochs(out)
    write_report(out, title="Plain, residual and dense networks on the digits")
    return comparison.complete


def _show_epochs(out: Path) -> None:
    """Mean training and validation accuracy at a few epochs, a line a network."""
    from rich.console import Console

    from skipstone.experiments import read_comparison
    from skipstone.report.tables import epoch_table

    Console(highlight=False).print(epoch_table(out, read_comparison(out)))
