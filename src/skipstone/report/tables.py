"""A comparison in the terminal: one table of accuracies, then what the differences are worth."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from skipstone.experiments import Comparison, read_group_runs
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
    for name in ("parameters", "training", "validation", "test", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in comparison.groups:
        accuracies = (group.train_accuracy, group.val_accuracy, group.test_accuracy)
        counts = f"{group.num_parameters:,}", str(group.test_accuracy.n)
        table.add_row(Text(group.label), counts[0], *(words.spread(accuracy) for accuracy in accuracies), counts[1])
    return table


def comparison_text(comparison: Comparison) -> str:
    """What stands below the table: differences between families, then everything that limits what was seen."""
    between = [d for d in comparison.differences if d.factor in words.MAIN_FACTORS] or list(comparison.differences)
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
