"""A comparison in the terminal: one table of accuracies, then what the differences are worth."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from skipstone.experiments import Comparison, Forecast, read_group_runs
from skipstone.report import words

if TYPE_CHECKING:
    from rich.table import Table


def accuracy_table(comparison: Comparison) -> "Table":
    """A line a network: training, validation and test accuracy over its seeds, for rich to print."""
    from rich import box
    from rich.table import Table
    from rich.text import Text  # a label may hold brackets, which are no markup

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", header_style="bold")
    table.add_column("network", no_wrap=True)
    unequal = len({group.epochs for group in comparison.groups}) > 1
    for name in ("parameters", *(["epochs"] if unequal else []), "training", "validation", "test", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in comparison.groups:
        accuracies = (group.train_accuracy, group.val_accuracy, group.test_accuracy)
        counts = f"{group.num_parameters:,}", str(group.test_accuracy.n)
        epochs = [str(group.epochs)] if unequal else []
        table.add_row(
            Text(group.label), counts[0], *epochs, *(words.spread(accuracy) for accuracy in accuracies), counts[1]
        )
    return table


def comparison_text(comparison: Comparison) -> str:
    """What stands below the table: differences between families, then everything that limits what was seen."""
    between = words.asked(comparison) or list(comparison.differences)
    lines = [words.sentence(comparison, difference) for difference in between]
    more = len(comparison.differences) - len(between)
    if more:
        lines.append(f"{more} more difference{'' if more == 1 else 's'}, between depths and options, in the report.")
    return "\n".join([*lines, *(f"warning: {warning}" for warning in comparison.warnings)])


def epoch_table(folder: str | Path, comparison: Comparison) -> "Table":
    """A line a network: training and validation accuracy, mean over seeds, at up to six epochs spread evenly."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    last = comparison.epochs
    shown = sorted({1 + round(i * (last - 1) / 5) for i in range(6)})
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", header_style="bold", title_style="")
    table.title = "Training/validation accuracy, %"
    table.add_column("epoch", no_wrap=True)
    for epoch in shown:
        table.add_column(str(epoch), justify="right", no_wrap=True)
    for group in comparison.groups:
        runs = read_group_runs(folder, group)
        means = [
            tuple(
                fmean(getattr(run.epochs[epoch - 1], f"{part}_accuracy") for run in runs) for part in ("train", "val")
            )
            for epoch in shown
        ]
        table.add_row(Text(group.label), *(f"{100 * train:.0f}/{100 * val:.0f}" for train, val in means))
    return table


def forecast_text(found: Forecast) -> str:
    """A line a network, then all runs together, and what difference the seeds could resolve."""
    width = max([len("network"), *(len(network.label) for network in found.networks)])
    lines = [
        f"{'network':{width}}  {'runs':>4}  {'parameters':>12}  {'multiply-adds':>14}  {'a run':>9}  {'memory':>8}"
    ]
    for network in found.networks:
        cost = network.cost
        if cost is None:
            lines.append(f"{network.label:{width}}  {network.num_runs:>4}  cannot be trained: {network.note}")
            continue
        lines.append(
            f"{network.label:{width}}  {network.num_runs:>4}  {cost.num_parameters:>12,}  {cost.macs:>14,}  "
            f"{_duration(cost.seconds):>9}  {cost.peak_bytes / 2**20:>5,.0f} MB"
        )
    total = sum(network.num_runs for network in found.networks if network.cost)
    memory = f"{found.peak_bytes / 2**20:,.0f} MB of memory"
    lines += ["", f"{total} runs, {found.workers} at a time: about {_duration(found.seconds)} and {memory}"]
    if not found.resolvable:
        return "\n".join([*lines, "one seed a network shows no spread: no difference could be established"])
    pairs = ", ".join(f"{words.points(difference)} at {100 * sd:.1f}" for sd, difference in found.resolvable)
    lines += [
        f"{found.num_seeds} seeds a network find, in 4 of 5 comparisons, a true difference of",
        f"  {pairs}  (the spread between seeds, in points)",
    ]
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
