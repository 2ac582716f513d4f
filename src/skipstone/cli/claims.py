"""skipstone claims: what tutorials say of skip connections, tried; with a verdict each."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from skipstone.cli import arguments, output
from skipstone.core.errors import SkipstoneError, printable
from skipstone.core.files import write_atomically
from skipstone.runs.outcome import Outcome


def run(
    *names: str,
    out: Path | None = None,
    page: Path | None = None,
    plan_only: Annotated[bool, Parameter(name="--plan")] = False,
    data: Literal["digits", "cifar10"] = "digits",
    data_dir: arguments.DataFolder = None,
    seeds: int | None = None,
    epochs: int | None = None,
    width: int | None = None,
    device: str = "cpu",
    workers: int | None = None,
    where: Annotated[arguments.RunnerFlags | None, Parameter(name="*")] = None,
    format: arguments.TextOrJson = "text",
) -> int:
    """List what tutorials say of skip connections, with what came of it when it was tried; or try it.

    Without --out the record is shown that comes with skipstone, of --data. With --out the claims are tried:
    runs that are complete there are kept, cut ones resume, and what was tried already is not tried again, so that the
    same command goes on. Exit status: 0 done, 1 some runs failed and their claims are not tried, 2 could not run.

    Parameters
    ----------
    names
        Claims by name; all of them if not given. One that is named is shown with its numbers.
    out
        Folder for the runs and claims.json.
    page
        Write the page, all claims and their numbers, as a Markdown file.
    plan_only
        Train nothing: print the runs that the claims need, their time and memory measured by a few steps.
    data
        digits or cifar10.
    seeds
        How many seeds a network. Default 6.
    epochs
        Epochs a run. Default 15 on the digits, 30 on CIFAR-10.
    width
        Channels of the networks' first stage. Default 8 on the digits, 16 on CIFAR-10.
    device
        Where to train: cpu, cuda, auto.
    workers
        How many runs at a time; as many as there are cores if not given.
    format
        text, or json for the record and the verdicts.
    """
    from skipstone.experiments.claims import SETTINGS, claims_named, kept_claims, runs_of, try_claims
    from skipstone.report.claimed import claims_json, claims_page, claims_text

    claims, page = claims_named(names), arguments.output_path(page)
    usual = SETTINGS[data]
    setting = replace(
        usual, device=device, data_dir=str(data_dir) if data_dir else None,
        seeds=usual.seeds if seeds is None else seeds, epochs=usual.epochs if epochs is None else epochs,
        width=usual.width if width is None else width,
    )  # fmt: skip
    if plan_only:
        from skipstone.experiments import forecast
        from skipstone.report.tables import forecast_text

        print(forecast_text(forecast(runs_of(claims, setting, out or "planned"), workers=workers)))
        return 0
    failed: tuple[Outcome, ...] = ()
    if out is None:
        if setting != usual:
            raise SkipstoneError("claims are tried in a folder; give one with --out, or --plan to see what they take")
        record = kept_claims(data)
    else:
        from skipstone.cli.progress import progress_bars

        runner = (where or arguments.RunnerFlags()).make(workers)
        record, failed = try_claims(claims, setting, out, runner=runner, watching=progress_bars)
    for outcome in failed:
        output.note(f"{outcome.run} {outcome.status}: {outcome.message}")
    if page is not None:
        write_atomically(page, claims_page(record).encode())
        output.note(f"written: {page}")
    if format == "json":
        print(json.dumps(claims_json(record, claims), indent=1))
    else:
        print(printable(claims_text(record, claims, details=bool(names) or out is not None)))
    return 1 if failed else 0
