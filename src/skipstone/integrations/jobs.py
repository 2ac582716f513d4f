"""A network as it is typed to be checked: built from its source anew, recorded, held against the baseline."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import nn

from skipstone.checks import Report, check
from skipstone.checks.baseline import new_findings, read_baseline
from skipstone.integrations.settings import Job, Settings
from skipstone.models.target import error_of, outline, parse_target, resolve
from skipstone.tracing import parse_input_text
from skipstone.tracing.session import Mode


def check_job(job: Job, settings: Settings, model: nn.Module | None = None) -> Report:
    """Build the job's network and check it, by the settings' codes; findings of its baseline are left out.

    A `model` that has just been built from the job's target is taken as it is.
    """
    example = tuple(map(parse_input_text, job.inputs))
    accepted = None if settings.baseline is None else read_baseline(settings.baseline)
    with _on_path(job.folder):
        build = resolve if settings.run is True else outline  # an outline has no weights to run with
        model = model if model is not None else build(_from_folder(job))
        report = check(
            model, example, mode=cast(Mode, job.mode), select=settings.select, ignore=settings.ignore, run=settings.run,
            budget=settings.budget,
        )  # fmt: skip
    if accepted is not None:
        report = replace(report, findings=new_findings(report.findings, accepted))
    return report


def error_of_job(job: Job) -> BaseException | None:
    """What the user's own code raised where the job's network was built; None for nothing."""
    with _on_path(job.folder):
        return error_of(_from_folder(job))


def _from_folder(job: Job) -> str:
    """The target with its file told from the folder of the settings, wherever the command is run."""
    where = parse_target(job.target).where
    if job.folder is None or not where.endswith(".py"):
        return job.target
    return job.target.replace(where, str(job.folder / where), 1)


@contextmanager
def _on_path(folder: Path | None) -> Iterator[None]:
    """The folder of the settings is where their modules are found, as the working folder is for what is typed."""
    if folder is None:
        yield
        return
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
