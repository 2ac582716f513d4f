"""`skipstone check their_file.py:TheirNet --input 3x32x32`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from skipstone.cli import arguments, output, prepare_to_record
from skipstone.cli.boundary import explain_building
from skipstone.core.errors import printable

if TYPE_CHECKING:
    from skipstone.checks import Report
    from skipstone.integrations.settings import Job, Settings
    from skipstone.integrations.whole_file import FileNetwork

    Networks = Mapping[Job, FileNetwork | None]


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
    from skipstone.models.importing import TargetError
    from skipstone.models.target import demand_there

    if target is not None:
        demand_there(target)
    prepare_to_record()
    from skipstone.integrations.settings import Job, SettingsError, load_settings

    settings = load_settings()
    settings = settings.with_flags(select, ignore, baseline).with_run(run, budget)
    if write_baseline is not None:
        settings = settings.without_baseline()  # what is accepted already is accepted again
    file = target.strip() if target is not None and target.strip().endswith(".py") else None
    typed = [] if file else list(settings.jobs) if target is None else [Job(target, input, mode)]
    if not file and not typed:
        raise SettingsError("nothing to check: give a target such as net.py:Net, or list targets in pyproject.toml")
    list_networks = partial(_networks, file, typed, input, mode, run=bool(run))
    mend = partial(_mend, file, typed, list_networks, settings)
    mended = write and mend(write=True)
    try:
        networks, status = list_networks()
        reports = _reports(networks, settings)
    except TargetError as error:
        if mended and error.__cause__ is None:
            output.note(f"{file} runs to its end now, and keeps no network to be checked")
            return 0
        if diff and not write:
            mend(write=False)
        raise
    _print(reports, format, {job: found.guessed for job, found in networks.items() if found}, skips=skips)
    if write_baseline is not None:
        from skipstone.checks.baseline import write_baseline as write_accepted

        write_accepted(write_baseline, [finding for _, report in reports for finding in report.findings])
        return 0
    if diff and not write:
        mend(write=False)
    return max((_status(report) for _, report in reports), default=0) or status


def _networks(
    file: str | None, typed: Sequence["Job"], inputs: tuple[str, ...], mode: str, *, run: bool, say: bool = True
) -> "tuple[Networks, int]":
    """What is to be checked, of a file with the networks as built; the status where nothing is found in them."""
    if file is None:
        return dict.fromkeys(typed), 0
    from skipstone.integrations.whole_file import networks_of
    from skipstone.programs.keras_building import culprit_of_building

    with output.aside():
        found = networks_of(file, inputs, mode, run=run)
    if found.stopped and say:
        output.note(f"{found.stopped}; what the file defined before that line is checked")
        if found.error is not None and culprit_of_building(found.error) is not None:
            explain_building(found.error)  # a network that was called is among those checked below
    for why in found.missing if say else ():
        output.note(f"not checked: {why}")
    incomplete = bool(found.stopped) or not found.networks
    return {network.job: network for network in found.networks}, 2 if incomplete else 0


def _reports(networks: "Networks", settings: "Settings") -> list[tuple["Job", "Report"]]:
    from skipstone.integrations.jobs import check_job

    with output.aside():
        return [(job, check_job(job, settings, built.model if built else None)) for job, built in networks.items()]


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


def _mend(
    file: str | None,
    typed: Sequence["Job"],
    list_networks: Callable[..., "tuple[Networks, int]"],
    settings: "Settings",
    *,
    write: bool,
) -> bool:
    """Write or show every certain repair; was there one?"""
    from skipstone.integrations.fixing import mend
    from skipstone.integrations.jobs import check_job, error_of_job
    from skipstone.models.importing import TargetError
    from skipstone.models.target import error_of

    def checks() -> list[Callable[[], "Report"]]:
        try:
            networks, _ = list_networks(say=False)
        except TargetError:  # told where they are listed to be checked
            return []
        return [partial(check_job, job, settings) for job in networks]

    with output.aside():
        mending = mend(checks, [partial(error_of, file)] if file else [partial(error_of_job, job) for job in typed])
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
    return bool(mending.fixed)


def _status(report: "Report") -> int:
    if report.errors or report.warnings:
        return 1
    return 2 if report.partial else 0
