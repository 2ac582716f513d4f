"""docs/zoo.md, from the results alone."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from zoo import runner
from zoo.measure import Row
from zoo.runner import Task

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
HEAD = """# Public networks: what is found on each

Every network below was built by its own constructor, without trained weights, most of them small, and given tensors, a
time step too. The *truth* is counted from the network's own classes: the network is run once, torch's own hooks count
how often each module runs, and each run of a class adds what the table of its package says (`tools/zoo/families/`): a
`BasicBlock` adds once, a transformer block twice, a flag such as `use_res_connect` decides. Additions are never looked
for, and no part of skipstone takes part. The truth is empty where the classes do not say. *Found* counts the skips of
the kinds identity, projection, resample, norm and bridge ([what counts](design/skips.md)), in evaluation, and in
training where that differs; the other kinds stand beside them. *E / W / N* are errors, warnings and notes of
`skipstone check`: on networks that run, every error and every warning is a false one. *s* are the processor's seconds
of `skipstone.check` on one core. Of every table each {every}th network is a sample: there `ablate(..., "all",
bridges=True)` takes every skip out and the result is recorded anew and run, and `legal_sizes` is held against a pass at
each size around the network's.

Written by `make zoo` with torch {torch}: {versions}.
"""


def rows(wanted: Iterable[Task], results: Path) -> dict[str, Row]:
    """The results that are there, of whatever code: `unexplained` tells which are missing or out of date."""
    found = {task.name: runner.read(task, results, None) for task in wanted}
    return {name: row for name, row in found.items() if row is not None}


def unexplained(wanted: Iterable[Task], rows: Mapping[str, Row]) -> list[str]:
    """What must not be: a network without a result, or with a problem that its table does not explain."""
    lines = []
    for task in wanted:
        row = rows.get(task.name)
        problems = ["no result"] if row is None else row.problems()
        if problems and task.network.name not in task.family.differs:
            lines.append(f"{task.name}: {'; '.join(problems)}")
    return lines


def summary(rows: Sequence[Row]) -> str:
    """The table in three sentences."""
    known = [row for row in rows if row.truth is not None or row.failure]
    right = [row for row in known if row.truth == row.found == row.found_in_training]
    share = f" ({100 * len(right) / len(known):.1f} %)" if known else ""
    errors, warned = sum(bool(row.errors) for row in rows), sum(bool(row.warnings) for row in rows)
    samples, sized = [row.ablated for row in rows if row.ablated], [row.sizes for row in rows if row.sizes]
    seconds = [row.seconds for row in rows if not row.failure] or [0.0]
    return (
        f"{len(rows)} networks; the truth is known for {len(known)} and found, in evaluation and in training, on "
        f"{len(right)}{share}. {errors} have a false error, {warned} a false warning. Of {len(samples)} that were "
        f"ablated {sum('of' in text and '!' not in text for text in samples)} have no skip left and run, "
        f"{sum('refused' in text for text in samples)} were refused; legal sizes are those of a run on "
        f"{sum('!' not in text for text in sized)} of {len(sized)}. "
        f"A check takes {statistics.median(seconds):.2f} s in the median, {max(seconds):.1f} s at most."
    )


def write(wanted: Sequence[Task], rows: Mapping[str, Row], page: Path = PAGE) -> None:
    page.write_text(text(wanted, rows), encoding="utf-8")


def text(wanted: Sequence[Task], rows: Mapping[str, Row]) -> str:
    from importlib.metadata import version

    packages = list(dict.fromkeys(task.family.package for task in wanted))
    versions = {row.name.partition(":")[0]: row.version for row in rows.values()}
    parts = [
        HEAD.format(
            every=runner.SAMPLE_EVERY,
            torch=version("torch"),
            versions=", ".join(f"{package} {versions[package]}" for package in packages if package in versions),
        ),
        summary(list(rows.values())) + "\n",
        _by_package(packages, rows),
        "## Where something is not as the classes say, and why\n",
        _differences(wanted, rows),
    ]
    for package in packages:
        own = [row for row in rows.values() if row.name.partition(":")[0] == package]
        parts += [f"## {package}\n", _table(own)]
    return "\n".join(parts)


def _by_package(packages: Sequence[str], rows: Mapping[str, Row]) -> str:
    lines = [
        "| package | networks | truth known | right | errors | warnings | median s |",
        "|---|---|---|---|---|---|---|",
    ]
    for package in packages:
        own = [row for row in rows.values() if row.name.partition(":")[0] == package]
        known = [row for row in own if row.truth is not None or row.failure]
        right = sum(row.truth == row.found == row.found_in_training for row in known)
        seconds = statistics.median(row.seconds for row in own) if own else 0
        errors, warned = sum(bool(row.errors) for row in own), sum(bool(row.warnings) for row in own)
        lines.append(f"| {package} | {len(own)} | {len(known)} | {right} | {errors} | {warned} | {seconds:.2f} |")
    return "\n".join(lines) + "\n"


def _differences(wanted: Sequence[Task], rows: Mapping[str, Row]) -> str:
    lines = []
    for task in wanted:
        row = rows.get(task.name)
        if row is not None and (problems := row.problems()):
            why = task.family.differs.get(task.network.name, "not explained")
            lines.append(f"- `{task.name}`: {'; '.join(problems)}. {why[:1].upper()}{why[1:]}.")
    return "\n".join(lines or ["There is nothing."]) + "\n"


def _table(rows: Sequence[Row]) -> str:
    head = "network | input | truth | counted from | found | by kind and merge | E / W / N | ablated | sizes | s"
    lines = [f"| {head} |", "|" + "---|" * (head.count("|") + 1)]
    return "\n".join([*lines, *(f"| {' | '.join(_cells(row))} |" for row in rows)]) + "\n"


def _cells(row: Row) -> list[str]:
    name = f"`{row.name.partition(':')[2]}`"
    if row.failure:
        return [name, "", "", "", row.failure, "", "", "", "", ""]
    training = "" if row.found == row.found_in_training else f" (training: {row.found_in_training})"
    return [
        name,
        row.inputs,
        "" if row.truth is None else str(row.truth),
        row.counted,
        f"{row.found}{training}",
        row.kinds,
        f"{len(row.errors)} / {len(row.warnings)} / {row.notes}",
        row.ablated,
        row.sizes,
        f"{row.seconds:.2f}",
    ]
