"""Progress of many runs on stderr: a bar for all epochs, and one for each run that is under way."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from skipstone.cli import output
from skipstone.core.errors import printable
from skipstone.runs.records import RunSpec

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from skipstone.experiments import RunProgress
    from skipstone.experiments.runner import Watcher
    from skipstone.integrations.run_logging import Logging


@contextmanager
def progress_bars(specs: Sequence[RunSpec], title: str = "") -> Iterator["Watcher"]:
    """A watcher for `skipstone.compare` that draws bars while this block runs, and none where stderr is no terminal.

    The title is printed with the first news, that is where nothing was refused.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = output.console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(bar_width=28), MofNCompleteColumn(),
        TextColumn("epochs"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        bars.start()
        yield _Bars(bars, specs, title).update


@contextmanager
def watched(specs: Sequence[RunSpec], title: str, logging: "Logging") -> Iterator["Watcher | None"]:
    """`progress_bars`, and the logs that are wanted of the same runs."""
    from skipstone.integrations.run_logging import following

    with progress_bars(specs, title) as bars, following(logging, specs, bars, output.note) as watch:
        yield watch


class _Bars:
    def __init__(self, bars: "Progress", specs: Sequence[RunSpec], title: str) -> None:
        self._bars = bars
        self._title = title
        self._specs = specs
        self._done = [0] * len(specs)
        self._of: dict[int, TaskID] = {}
        self._all = bars.add_task(f"{len(specs)} runs", total=sum(spec.epochs for spec in specs))

    def update(self, step: "RunProgress") -> None:
        if self._title:
            self._bars.console.print(self._title, markup=False, soft_wrap=True)
            self._title = ""
        spec = self._specs[step.run]
        if step.note:
            self._bars.console.print(f"{Path(str(spec.out)).name}: {step.note}", markup=False, soft_wrap=True)
        self._done[step.run] = spec.epochs if step.outcome else step.epochs
        if step.run not in self._of and not step.outcome:
            self._of[step.run] = self._bars.add_task(printable(f"  {Path(str(spec.out)).name}"), total=spec.epochs)
        if step.run in self._of:
            self._bars.update(self._of[step.run], completed=step.epochs)
            if step.outcome:
                self._bars.remove_task(self._of.pop(step.run))
        self._bars.update(self._all, completed=sum(self._done))
        if step.outcome and not step.outcome.complete:
            # A network's name and its error are foreign text: brackets in them are no markup.
            said = f"{step.outcome.run}: {step.outcome.status}: {step.outcome.message}"
            self._bars.console.print(said, style="red", markup=False)
