"""skipstone compare: train several networks over seeds, print what came of it, write a report."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from skipstone.cli import arguments, output
from skipstone.core.codec import encode
from skipstone.core.errors import SkipstoneError, printable
from skipstone.core.literals import split
from skipstone.experiments.comparison import Match
from skipstone.runs.variants import parse_variant


def run(
    *,
    models: Annotated[list[str], Parameter(negative="")],
    out: Path,
    data: arguments.Data = "digits",
    data_dir: arguments.DataFolder = None,
    seeds: int = 3,
    epochs: int | None = None,
    options: Annotated[list[str] | None, Parameter(name=["--option", "--options"], negative="")] = None,
    vary: Annotated[list[str] | None, Parameter(negative="")] = None,
    variant: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    against: str = "",
    match: Match | None = None,
    budget: str | None = None,
    recipe: arguments.RecipeName = None,
    plan_only: Annotated[bool, Parameter(name="--plan")] = False,
    workers: int | None = None,
    device: str = "cpu",
    val_fraction: float = 0.1,
    split_seed: int = 0,
    patience: arguments.Patience = None,
    flags: Annotated[arguments.RecipeFlags | None, Parameter(name="*")] = None,
    where: Annotated[arguments.RunnerFlags | None, Parameter(name="*")] = None,
    logs: Annotated[arguments.LoggingFlags | None, Parameter(name="*")] = None,
    format: arguments.TextOrJson = "text",
) -> int:
    """Train several networks over seeds and write a report.

    Each run is a process of its own with one thread, here or on a Ray cluster. Runs that are complete in --out are not
    run again, cut ones resume, so the same command after Ctrl-C goes on. Exit status: 0 every run is complete, 1 some
    failed, 2 could not run.

    Parameters
    ----------
    models
        Names of reference networks (plain56, resnet56) or targets (file.py:Net), with commas between.
    out
        Folder for the runs, comparison.json and report.html.
    seeds
        How many seeds a network, counted from 0.
    epochs
        Epochs a run. Default: those of the recipe, if it has any, or 15.
    options
        An argument of every network, as name=value (width=8); may be repeated.
    vary
        An argument to vary, as name=value,value (dropout=0,0.2): every network is trained with each; may be repeated.
    variant
        A variant of every network, as name=edit (plain=ablate:all, extra='connect:layer1 layer3'), edits with
        semicolons between; a name alone is the network as it is. To be repeated.
    against
        What the others are compared with: a family (plain), a variant, an option (width=8), or a network as the table
        names it. Fewer pairs than all, which is the default, so that fewer seeds establish a difference. To be decided
        before the results are seen.
    match
        What the networks get equally much of: epochs, macs (training multiply-adds) or time. --epochs are then the
        first network's, and the others' are chosen to match, by a few measured steps. Default: epochs.
    budget
        What a run may take, as 90s, 10m or 2h, in place of --epochs: each network gets as many epochs as fit.
    plan_only
        Train nothing: print the runs, their time and memory measured by a few steps, and what difference the seeds
        could resolve.
    workers
        How many runs at a time; as many as there are cores if not given.
    device
        Where to train: cpu, cuda, auto.
    val_fraction
        Share of the training images held out for validation.
    split_seed
        Which images those are.
    format
        text, or json for the content of comparison.json.
    """
    from skipstone.cli.progress import watched
    from skipstone.experiments import compare, forecast, matched, plan
    from skipstone.experiments.comparison import demand_known
    from skipstone.report import write_report
    from skipstone.report.tables import forecast_text

    runner = (where or arguments.RunnerFlags()).make(workers)
    base = arguments.base_spec(
        flags, options, data_dir, patience, recipe,
        data=data, epochs=epochs, device=device, val_fraction=val_fraction, split_seed=split_seed,
    )  # fmt: skip
    names = [name for text in models for name in split(text)]
    varied = dict(map(arguments.assignments, vary or []))
    specs = plan(names, out=out, base=base, seeds=seeds, vary=varied, variants=list(map(parse_variant, variant or [])))
    if against:
        demand_known(specs, against)
    by, seconds = _fairness(match, budget, epochs)
    specs = matched(specs, by, out, budget=seconds, keep=not plan_only)
    if plan_only:
        found = forecast(specs, workers=workers)
        print(json.dumps(encode(found), indent=1) if format == "json" else forecast_text(found))
        return 0
    counts = sorted({spec.epochs for spec in specs})
    title = f"{len(specs)} runs of {' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} epochs on {data}"
    with watched(specs, title, (logs or arguments.LoggingFlags()).logging()) as watch:
        comparison = compare(specs, out, against=against, match=by, runner=runner, watch=watch)
    if any(outcome.status == "interrupted" for outcome in comparison.outcomes):
        raise KeyboardInterrupt
    report = write_report(out)
    if format == "json":
        print(json.dumps(comparison.to_dict(), indent=1))
    else:
        output.show_comparison(comparison)
        print(printable(f"report: {report}"))
    return 0 if comparison.complete else 1


def _fairness(match: Match | None, budget: str | None, epochs: int | None) -> tuple[Match, float | None]:
    """What the networks get equally much of, and how many seconds of it, if a budget says so."""
    if budget is None:
        return match or "epochs", None
    if epochs is not None:
        raise SkipstoneError("--epochs and --budget both say how long a run is; give one of them")
    return match or "time", arguments.seconds(budget)
