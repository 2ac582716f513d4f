"""`skipstone check their_file.py:TheirNet --input 3x32x32`."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from skipstone.cli import arguments, output, prepare_to_record
from skipstone.core.errors import printable

if TYPE_CHECKING:
    from skipstone.checks import Report
    from skipstone.integrations.settings import Job
    from skipstone.integrations.whole_file import FileNetwork


def run(
    target: arguments.Target | None = None,
    /,
    *,
    input: arguments.Inputs = (),
    format: Annotated[Literal["text", "json", "sarif", "github"], Parameter(name=["--format", "-f"])] = "text",
    mode: arguments.Mode = "train",
    select: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    ignore: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    skips: bool = False,
    diff: bool = False,
    write: Annotated[bool, Parameter(name=["--write", "--fix"])] = False,
    run: Annotated[bool | None, Parameter(name="--run", negative="--no-run")] = None,
    budget: float = 0.5,
    baseline: Path | None = None,
    write_baseline: Path | None = None,
) -> int:
    """Find what is wrong with a network's skip connections, and how to mend it.

    A file without a name stands for every network in it that can be built; its input is guessed where none is given.
    Without a target, the targets of [[tool.skipstone.check]] in the nearest pyproject.toml are checked. Exit status:
    0 clean (notes allowed), 1 errors or warnings, 2 could not run or not to the end.

    Parameters
    ----------
    format
        How to print the findings: one document, however many targets.
    select
        A code to look for, or a prefix such as SK1; may be repeated. Default: all.
    ignore
        A code or prefix to leave out; may be repeated.
    skips
        List every skip, gate and parallel branch as well.
    diff
        Print the first repair of each finding, where one call site is certain, as one patch that git apply takes.
    write
        Make that change in the source; applying the patch of --diff gives the same. --fix is the same option. What is
        printed then, and the exit status, are those of the mended source.
    run
        Really run a copy of the network, forward and backward, whatever it costs; or not at all. Without either it is
        run where it fits the budget, at a smaller size if need be. The summary says which. For a file without a name,
        --run also runs its own program, to see how it makes and calls the classes that need arguments.
    budget
        Seconds that all passes of the run may take.
    baseline
        A file of accepted findings: only new ones count.
    write_baseline
        Accept the present findings: write them to this file.
    """
    from skipstone.models.target import demand_there

    if target is not None:
        demand_there(target)
    prepare_to_record()
    from skipstone.integrations.jobs import check_job
    from skipstone.integrations.settings import Job, SettingsError, load_settings

    settings = load_settings()
    built: Mapping[Job, FileNetwork] = {}
    status = 0
    if target is not None and target.strip().endswith(".py"):
        built, status = _whole_file(target.strip(), input, mode, run=bool(run))
        jobs = list(built)
    else:
        jobs = [Job(target, input, mode)] if target is not None else list(settings.jobs)
        if not jobs:
            raise SettingsError("nothing to check: give a target such as net.py:Net, or list targets in pyproject.toml")
    guessed = {job: network.guessed for job, network in built.items()}
    settings = settings.with_flags(select, ignore, baseline).with_run(run, budget)
    if write_baseline is not None:
        settings = settings.without_baseline()  # what is accepted already is accepted again
    if write:
        _mend([partial(check_job, job, settings) for job in jobs], write=True)
        built = {}  # made from the source as it was
    with output.aside():
        reports = [(job, check_job(job, settings, built[job].model if built else None)) for job in jobs]
    _print(reports, format, guessed, skips=skips)
    if write_baseline is not None:
        from skipstone.checks.baseline import write_baseline as write_accepted

        write_accepted(write_baseline, [finding for _, report in reports for finding in report.findings])
        return 0
    if diff and not write:
        _mend([partial(check_job, job, settings) for job in jobs], write=False)
    return max((_status(report) for _, report in reports), default=0) or status


def _whole_file(
    file: str, inputs: tuple[str, ...], mode: str, *, run: bool
) -> tuple[Mapping["Job", "FileNetwork"], int]:
    """The networks of a file, and the status where nothing is found in them."""
    from skipstone.integrations.whole_file import networks_of

    with output.aside():
        found = networks_of(file, inputs, mode, run=run)
    if found.stopped:
        output.note(f"{found.stopped}; what the file defined before that line is checked")
    for why in found.missing:
        output.note(f"not checked: {why}")
    incomplete = bool(found.stopped) or not found.networks
    return {network.job: network for network in found.networks}, 2 if incomplete else 0


def _print(reports: list[tuple["Job", "Report"]], style: str, remarks: Mapping["Job", str], *, skips: bool) -> None:
    from skipstone.integrations.formats import render_all

    if style != "text":
        print(render_all([(job.target, report) for job, report in reports], style))
        return
    from rich.text import Text

    console = output.console()
    for job, report in reports:
        if skips:
            console.print(_skip_table(report))
        remark = remarks.get(job)
        console.print(Text(printable(f"{job.target}   {remark}\n" if remark else f"{job.target}\n")))
        styled = Text(printable(str(report)))
        for word, style_name in (("error", "bold red"), ("warning", "bold yellow"), ("note", "bold blue")):
            styled.highlight_regex(rf"(?m)^SK\d+  {word}", style_name)
        styled.highlight_regex(r"<- they part here", "bold")
        console.print(styled)


def _skip_table(report: "Report"):  # type: ignore[no-untyped-def]  # rich is imported here only
    from rich.table import Table

    from skipstone.checks.text import SKIP_COLUMNS, skip_rows

    table = Table(*SKIP_COLUMNS, box=None, pad_edge=False)
    for row in skip_rows(report.skips):
        table.add_row(*row)
    return table


def _mend(checks: list[Callable[[], "Report"]], *, write: bool) -> None:
    from skipstone.integrations.fixing import mend

    with output.aside():
        mending = mend(checks)
    if write:
        mending.write()
    else:
        output.print_patch(mending.changes)
    for done in mending.fixed:
        verb = "changed" if write else "would change"
        output.note(f"{done.code} {done.module}: {done.title}; {verb} {', '.join(done.files)}")
    for finding, words in mending.by_hand:
        output.note(f"{finding.code} {finding.module}: no one place in the source is certain. {words}")
    sys.stderr.flush()


def _status(report: "Report") -> int:
    if report.errors or report.warnings:
        return 1
    return 2 if report.partial else 0
