"""skipstone runs: what was trained, where it stands; as a table, JSON or CSV; deleted on request."""

import csv
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from skipstone.cli import arguments, output
from skipstone.core.errors import printable
from skipstone.runs.listing import RunLine, delete_runs, find_runs


def run(
    folder: Path = Path("."),
    /,
    *,
    where: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    delete: bool = False,
    yes: bool = False,
    format: Annotated[Literal["text", "json", "csv"], Parameter(name=["--format", "-f"])] = "text",
) -> int:
    """List the runs in a folder and below it: network, state, accuracy, time.

    A run is finished, cut (`skipstone train --resume --out FOLDER` goes on with it), running, begun (no epoch was
    finished), or unreadable. Exit status: 0 done, 2 could not, or a folder could not be looked into.

    Parameters
    ----------
    folder
        Where to look; the working folder if not given.
    where
        Only the runs with this field, as state=cut, model=skipstone:resnet20, seed=0; may be repeated, all must hold.
    delete
        Remove the runs listed; with --yes only, and never one that is running or holds files of yours.
    yes
        Do it.
    format
        text, json, or csv.
    """
    wanted = {name: str(value) for name, value in map(arguments.assignment, where or [])}
    passed_over: list[OSError] = []
    found = find_runs(folder, wanted, passed_over.append)
    if format == "json":
        print(json.dumps([line.to_dict() for line in found], indent=1))
    elif format == "csv":
        writer = csv.DictWriter(sys.stdout, list(RunLine.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(line.to_dict() for line in found)
    else:
        print(printable(_table(found, folder)))
    if delete and yes:
        delete_runs(found)
        output.note(f"deleted: {len(found)} run{'s' * (len(found) != 1)}")
    elif delete:
        output.note(f"nothing deleted; to delete these {len(found)}, add --yes")
    for error in passed_over:
        output.note(f"passed over {error.filename}, which cannot be looked into: {error.strerror}")
    return 2 if passed_over else 0


_HEADS = ("folder", "network", "data", "seed", "epochs", "state", "validation", "test", "time")


def _table(found: Sequence[RunLine], root: Path) -> str:
    """A line a run; of one that can't be read, why."""
    if not found:
        return f"no runs in {root}"
    rows = [_HEADS, *(_cells(line, os.path.relpath(line.folder, root)) for line in found if line.state != "unreadable")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    broken = [f"{os.path.relpath(line.folder, root)}  {line.note}" for line in found if line.state == "unreadable"]
    return "\n".join([*texts, *broken])


def _cells(line: RunLine, folder: str) -> tuple[str, ...]:
    network = " ".join(filter(None, (line.model.removeprefix("skipstone:"), line.variant)))
    return (
        folder,
        network,
        line.data,
        str(line.seed),
        f"{line.epochs_done}/{line.epochs}",
        f"{line.state}, {line.note}" if line.note else line.state,
        _percent(line.val_accuracy),
        _percent(line.test_accuracy),
        f"{line.wall_seconds or 0:.1f} s",
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
