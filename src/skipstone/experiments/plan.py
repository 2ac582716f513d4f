"""Many runs from a few words: models x options x seeds, as immutable specs with a folder each."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skipstone.core.errors import SkipstoneError
from skipstone.runs.records import RunSpec
from skipstone.runs.variants import Variant

RUNS_FOLDER = "runs"
_DEPTH = re.compile(r"(?P<family>.*?[A-Za-z])_?(?P<depth>\d+)(?P<rest>\D.*)?")


@dataclass(frozen=True, slots=True)
class Family:
    """A model's name taken apart: `resnet56` is family `resnet` at depth 56; None where the name bears no number."""

    name: str
    depth: int | None


def family_of(model: str) -> Family:
    """The family and depth that a model's name tells.

    >>> family_of("skipstone:resnet56")
    Family(name='resnet', depth=56)
    >>> family_of("densenet40_12")
    Family(name='densenet_12', depth=40)
    >>> family_of("net.py:Net(3)")
    Family(name='net.py:Net(3)', depth=None)
    """
    short = model.removeprefix("skipstone:")
    match = None if ":" in short else _DEPTH.fullmatch(short)
    if match is None:
        return Family(short, None)
    return Family(match["family"] + (match["rest"] or ""), int(match["depth"]))


def plan(
    models: Sequence[str],
    *,
    out: str | Path,
    base: RunSpec | None = None,
    seeds: Sequence[int] | int = 3,
    vary: Mapping[str, Sequence[Any]] | None = None,
    variants: Sequence[Variant] = (),
) -> tuple[RunSpec, ...]:
    """The specs of every model, in each of its variants, under every combination of varied options, once a seed.

    `base` gives everything else (data, recipe, epochs, options common to all). A model without a colon is one of
    skipstone's own. `seeds` is a list of them, or how many to count from 0. Each run's folder lies under `out`.

    Raises:
        SkipstoneError: no model, no seed, or the same run planned twice.
    """
    base = base or RunSpec()
    vary = vary or {}
    if isinstance(seeds, int) and seeds < 1:
        raise SkipstoneError(f"seeds is {seeds}, expected at least 1")
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    for what, values in (("models", models), ("seeds", chosen), *((f"vary {k}", v) for k, v in vary.items())):
        if not values:
            raise SkipstoneError(f"{what}: nothing given, expected at least one")
    specs = []
    for model, variant, *values in itertools.product(models, variants or (Variant(""),), *vary.values()):
        target = model if ":" in model else f"skipstone:{model}"
        varied = dict(zip(vary, values, strict=True))
        label = run_label(target, varied, variant.name)
        options = {**base.options, **varied}
        common = replace(base, model=target, options=options, variant=variant.name, edits=variant.edits)
        for seed in chosen:
            folder = Path(out) / RUNS_FOLDER / folder_name(label, seed)
            specs.append(replace(common, seed=seed, out=str(folder)))
    _demand_distinct(specs)
    return tuple(specs)


def run_label(model: str, varied: Mapping[str, Any], variant: str = "") -> str:
    """What a group of runs is called: `resnet56`, `resnet56 width=8` where the width is varied, `resnet56 plain`."""
    named = [variant] if variant else []
    return " ".join([model.removeprefix("skipstone:"), *named, *(f"{key}={value}" for key, value in varied.items())])


def varied_options(every: Sequence[Mapping[str, Any]]) -> set[str]:
    """The options that are not the same in all of these runs."""
    keys = {key for options in every for key in options}
    return {key for key in keys if len({repr(options.get(key)) for options in every}) > 1}


def chosen_options(spec: RunSpec, varied: set[str]) -> dict[str, Any]:
    """The options of a run that are varied."""
    return {key: value for key, value in spec.options.items() if key in varied}


def label_of(spec: RunSpec, varied: set[str]) -> str:
    """What the group of a run is called where these options are varied."""
    return run_label(spec.model, chosen_options(spec, varied), spec.variant)


def folder_name(label: str, seed: int) -> str:
    """The label as a file name on every system, and the seed."""
    return f"{re.sub(r'[^A-Za-z0-9=._-]+', '-', label).strip('-')}_seed{seed}"


def _demand_distinct(specs: Sequence[RunSpec]) -> None:
    seen: dict[str, RunSpec] = {}
    for spec in specs:
        if spec.out in seen:
            raise SkipstoneError(f"planned twice: {spec.model} with seed {spec.seed} (folder {spec.out})")
        seen[str(spec.out)] = spec
