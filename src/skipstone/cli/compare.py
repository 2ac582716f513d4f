"""skipstone compare: train several networks over seeds, print what came of it, write a report."""

import ast
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from skipstone.cli.train import RecipeFlags
from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import Recipe, RunSpec


def run(
    *,
    models: Annotated[list[str], Parameter(negative="")],
    out: Path,
    data: str = "digits",
    data_dir: Path | None = None,
    seeds: int = 3,
    epochs: int = 15,
    options: Annotated[list[str] | None, Parameter(name=["--option", "--options"], negative="")] = None,
    vary: Annotated[list[str] | None, Parameter(negative="")] = None,
    workers: int | None = None,
    device: str = "cpu",
    val_fraction: float = 0.1,
    split_seed: int = 0,
    flags: Annotated[RecipeFlags | None, Parameter(name="*")] = None,
    format: Literal["text", "json"] = "text",
) -> int:
    """Train several networks over seeds and write a report.

    Each run is a process of its own with one thread. Runs that are complete in --out are not run again, cut ones
    resume, so the same command after Ctrl-C goes on. Exit status: 0 every run is complete, 1 some failed, 2 could not
    run.

    Parameters
    ----------
    models
        Names of reference networks (plain56, resnet56) or targets (file.py:Net), with commas between.
    out
        Folder for the runs, comparison.json and report.html.
    data
        digits, cifar10 or cifar100.
    data_dir
        Where CIFAR's binary version lies, a folder or the archive.
    seeds
        How many seeds a network, counted from 0.
    epochs
        Epochs a run.
    options
        An argument of every network, as name=value (width=8); may be repeated.
    vary
        An argument to vary, as name=value,value (dropout=0,0.2): every network is trained with each; may be repeated.
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
    from skipstone.cli.progress import progress_bars
    from skipstone.experiments import compare, plan
    from skipstone.report import write_report

    given: dict[str, Any] = (flags or RecipeFlags()).given()
    recipe = replace(Recipe(), **given)
    base = RunSpec(
        data=data, data_dir=str(data_dir) if data_dir else None, epochs=epochs, recipe=recipe, device=device,
        options={name: _literal(value) for name, value in map(_halves, options or [])},
        val_fraction=val_fraction, split_seed=split_seed,
    )  # fmt: skip
    names = [name for text in models for name in _split(text)]
    varied = {name: _values(text) for name, text in map(_halves, vary or [])}
    specs = plan(names, out=out, base=base, seeds=seeds, vary=varied)
    print(f"{len(specs)} runs of {epochs} epochs on {data}", file=sys.stderr)
    with progress_bars(specs) as watch:
        comparison = compare(specs, out, workers=workers, watch=watch)
    if any(outcome.status == "interrupted" for outcome in comparison.outcomes):
        raise KeyboardInterrupt
    report = write_report(out)
    if format == "json":
        import json

        print(json.dumps(comparison.to_dict(), indent=1))
    else:
        show_comparison(comparison)
        print(f"report: {report}")
    return 0 if comparison.complete else 1


def show_comparison(comparison: Any) -> None:
    """Print the table and the sentences of a comparison to stdout."""
    from rich.console import Console

    from skipstone.report.tables import accuracy_table, comparison_text

    console = Console(highlight=False)
    console.print(accuracy_table(comparison))
    console.print(comparison_text(comparison))
    console.print()


def _split(text: str) -> list[str]:
    """Split at commas outside parentheses: `plain20,net.py:Net(3, 4)` is two models."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _halves(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or not value:
        raise SkipstoneError(f"option {text!r} is not understood, expected name=value")
    return name, value


def _values(text: str) -> list[Any]:
    return [_literal(part) for part in _split(text)]


def _literal(text: str) -> Any:
    """A Python literal where the text is one, else the text itself: `8`, `0.1`, `B`."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
