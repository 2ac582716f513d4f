"""`skipstone check their_file.py:TheirNet --input 3x32x32`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from skipstone.cli import prepare_to_record

if TYPE_CHECKING:
    from skipstone.checks import Report
    from skipstone.integrations.settings import Job, Settings


def run(
    target: str | None = None,
    /,
    *,
    input: Annotated[tuple[str, ...], Parameter(name=["--input", "-i"], consume_multiple=False)] = (),
    format: Annotated[Literal["text", "json", "sarif", "github"], Parameter(name=["--format", "-f"])] = "text",
    mode: Literal["train", "eval"] = "train",
    select: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    ignore: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = (),
    skips: bool = False,
    fix: bool = False,
    diff: bool = False,
    baseline: Path | None = None,
    write_baseline: Path | None = None,
) -> int:
    """Find what is wrong with a network's skip connections, and how to mend it.

    Exit status: 0 clean (notes allowed), 1 errors or warnings, 2 could not run or not to the end.

    Parameters
    ----------
    target
        file.py:Name, file.py:factory(64, 128), package.module:Name, timm:NAME, torchvision:NAME, skipstone:NAME;
        without one, the targets of [[tool.skipstone.check]] in pyproject.toml. Arguments are literals.
    input
        One example input: 3x32x32 (a batch of 2 is added), 2,3,32,32 (with the batch), 2,16:int64 (with a dtype).
        Once for each of the network's inputs.
    format
        How to print the findings.
    mode
        Check the network as in training or in evaluation.
    select
        A code to look for, or a prefix such as SK1; may be repeated. Default: all.
    ignore
        A code or prefix to leave out; may be repeated.
    skips
        List every skip, gate and parallel branch as well.
    fix
        Write the first repair of each finding into the source, where one call site is certain.
    diff
        Print those changes as a unified diff instead of writing them.
    baseline
        A file of accepted findings: only new ones count.
    write_baseline
        Accept the present findings: write them to this file.
    """
    from skipstone.integrations.settings import Job, SettingsError, load_settings

    settings = load_settings(Path.cwd())
    jobs = [Job(target, input, mode)] if target is not None else list(settings.jobs)
    if not jobs:
        raise SettingsError("nothing to check: give a target such as net.py:Net, or list targets in pyproject.toml")
    settings = settings.with_flags(select, ignore, baseline)
    reports = [(job, _check(job, settings)) for job in jobs]
    for job, report in reports:
        _print(job, report, format, skips=skips)
    if write_baseline is not None:
        from skipstone.checks.baseline import write_baseline as write

        write(write_baseline, [finding for _, report in reports for finding in report.findings])
        return 0
    if fix:
        for job in jobs:
            _fix(job, settings)
    elif diff:
        _diff([report for _, report in reports])
    return max(_status(report) for _, report in reports)


def _check(job: "Job", settings: "Settings") -> "Report":
    from dataclasses import replace

    from skipstone.checks import check
    from skipstone.checks.baseline import new_findings, read_baseline
    from skipstone.models.target import outline
    from skipstone.tracing import parse_input_text

    prepare_to_record()
    example = tuple(parse_input_text(text) for text in job.inputs)
    model = outline(job.target).train(job.mode == "train")
    report = check(model, example, select=settings.select, ignore=settings.ignore)
    if settings.baseline is not None:
        report = replace(report, findings=new_findings(report.findings, read_baseline(settings.baseline)))
    return report


def _print(job: "Job", report: "Report", style: str, *, skips: bool) -> None:
    from skipstone.integrations.formats import render

    text = render(report, job.target, style)
    if style != "text":
        print(text)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    if skips:
        console.print(_skip_table(report))
    console.print(f"{job.target}")
    console.print()
    styled = Text(text)
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


def _fix(job: "Job", settings: "Settings") -> None:
    from skipstone.integrations.fixing import fix, suggestions

    for done in fix(lambda: _check(job, settings)):
        print(f"{done.code} {done.module}: {done.title}; changed {', '.join(done.files)}", file=sys.stderr)
    for finding, words in suggestions(_check(job, settings)):
        print(f"{finding.code} {finding.module}: no one place in the source is certain. {words}", file=sys.stderr)


def _diff(reports: list["Report"]) -> None:
    from skipstone.integrations.fixing import diffs, suggestions

    for report in reports:
        print("".join(diffs(report)), end="")
        for finding, words in suggestions(report):
            print(f"{finding.code} {finding.module}: no one place in the source is certain. {words}", file=sys.stderr)


def _status(report: "Report") -> int:
    if report.errors or report.warnings:
        return 1
    return 2 if report.partial else 0
