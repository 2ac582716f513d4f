"""skipstone search: look for better settings, and see over fresh seeds whether they are."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from skipstone.cli import arguments
from skipstone.core.errors import printable


def run(
    *,
    out: Path,
    model: str = "skipstone:resnet20",
    space: Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)] = None,
    data: arguments.Data = "digits",
    data_dir: arguments.DataFolder = None,
    epochs: int = 15,
    options: Annotated[list[str] | None, Parameter(name=["--option", "--options"], negative="")] = None,
    runs: int | None = None,
    budget: str | None = None,
    finalists: int = 3,
    seeds: int = 6,
    seed: int = 0,
    round: int = 4,
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
    """Look for better settings of a network and its recipe, and see over fresh seeds whether they are better.

    Trials are chosen by Optuna and compared on the validation images alone. The best are then trained again over seeds
    that no trial had, beside the settings given, which are the default to be beaten; only then are the test images
    used. The same command after Ctrl-C, or worse, goes on. Needs Optuna: pip install 'skipstone[search]'. Exit status:
    0 done, whether or not the default was beaten, 2 could not run, 130 interrupted.

    Parameters
    ----------
    out
        Folder for the trials, the finals and their report, found.json and best.toml.
    model
        The network to begin from: skipstone:resnet20, file.py:Name, package.module:Name.
    space
        A factor: lr=0.01..0.5:log, width=8..24, shortcut=A,B, model=plain20,resnet20, depth=14,20,26,
        blocks_per_stage=(1,1,1),(1,2,3), variant=as-is,plain=ablate:all. A field of the recipe, or an option of the
        network. To be repeated. If not given: lr, and of skipstone's own networks the design, blocks a stage, width
        and dropout.
    epochs
        Epochs a run, trial or final.
    options
        An argument of every network, as name=value (width=8); may be repeated.
    runs
        How many trials. Default 40 where no --budget is given.
    budget
        Time on the wall for trials and finals together: 90s, 10m, 2h. A round of trials is begun only if the finals
        still fit behind it, as told by the time of the runs before.
    finalists
        How many trials are trained again.
    seeds
        Fresh seeds for each finalist and the default.
    seed
        Of the trials, and of what is suggested.
    round
        How many trials are suggested at once, none knowing of the others: more for more cores. Which trials a search
        makes depends on it, and not on how many run at a time.
    workers
        How many runs at a time; as many as there are cores if not given.
    device
        Where to train: cpu, cuda, auto.
    val_fraction
        Share of the training images held out for validation.
    split_seed
        Which images those are.
    format
        text, or json for the content of found.json.
    """
    from skipstone.cli.progress import watched
    from skipstone.experiments.search import parse_factor, search
    from skipstone.report import write_report
    from skipstone.report.searched import found_json, found_text

    runner = (where or arguments.RunnerFlags()).make(workers)
    base = arguments.base_spec(
        flags, options, data_dir, patience, model=model if ":" in model else f"skipstone:{model}", seed=seed,
        data=data, epochs=epochs, device=device, val_fraction=val_fraction, split_seed=split_seed,
    )  # fmt: skip
    logging = (logs or arguments.LoggingFlags()).logging()
    found = search(
        base, out, space=list(map(parse_factor, space or [])), runs=runs,
        budget_seconds=None if budget is None else arguments.seconds(budget), seed=seed, round=round,
        finalists=finalists, seeds=seeds, runner=runner,
        watching=lambda specs, title: watched(specs, title, logging),
    )  # fmt: skip
    report = write_report(out / "finals", title=f"Finals of a search on {data}")
    if format == "json":
        print(json.dumps(found_json(found), indent=1))
        return 0
    print(printable(found_text(found)))
    print(printable(f"\nrecipe: {found.recipe}   (skipstone train --recipe {found.recipe} --data {data} --out FOLDER)"))
    print(printable(f"report: {report}"))
    return 0
