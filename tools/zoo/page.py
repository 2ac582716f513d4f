"""docs/zoo.md, from the results alone."""

import statistics
from collections import Counter
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
for, and no part of skipstone takes part. The truth is empty where the classes do not say; from x-transformers on it was
written down before the finder was asked, and left so. *Found* counts the skips of the kinds identity, projection,
resample, norm and bridge ([what counts](design/skips.md)), in evaluation, and in training where that differs; the other
kinds stand beside them. *E / W / N* are errors, warnings and notes of `skipstone check`. *s* are the processor's
seconds of `skipstone.check` on one core of a busy machine, those in which it really ran the network, forward and
backward, included. Of every table each {every}th network is a sample: there `ablate(..., "all", bridges=True)` takes
every skip out and the result is recorded anew and run (*by zeros*: `cat="zero"`, since the layer that is named can't
read fewer channels), and `legal_sizes` is held against a pass at each size around the network's.

Written by `make zoo` with torch {torch}: {versions}.
{states}
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
        problems = ["no result"] if row is None else _unexplained(task, row)
        if problems:
            lines.append(f"{task.name}: {'; '.join(problems)}")
    return lines


def _unexplained(task: Task, row: Row) -> list[str]:
    name, family = task.network.name, task.family
    if row.failure:
        return [row.failure]
    return [] if name in family.differs else [*row.misses(), *false_findings(task, row)]


def false_findings(task: Task, row: Row) -> list[str]:
    """The errors and warnings that the table does not call right."""
    return [] if task.network.name in task.family.rightly else row.findings()


def summary(wanted: Sequence[Task], rows: Mapping[str, Row]) -> str:
    """The tables in a few sentences."""
    found = list(rows.values())
    samples = [row.ablated for row in found if row.ablated]
    sized = [row.sizes for row in found if row.sizes]
    seconds = [row.seconds for row in found if not row.failure] or [0.0]
    return (
        f"{_counts(wanted, rows)} Of {len(samples)} that were "
        f"ablated {sum(text[0].isdigit() for text in samples)} have no skip left and run, "
        f"{sum('by zeros' in text for text in samples)} of them with zeros for what was joined, since a reader can't "
        f"do with less; {sum('refused' in text for text in samples)} were refused; legal sizes are those of a run on "
        f"{sum('!' not in text for text in sized)} of {len(sized)}. A check takes "
        f"{statistics.median(seconds):.2f} s in the median and {max(seconds):.1f} s at most, the run of the network "
        "that is part of it included."
    )


def _counts(wanted: Sequence[Task], rows: Mapping[str, Row]) -> str:
    known = [row for row in rows.values() if row.truth is not None or row.failure]
    right = sum(is_right(row) for row in known)
    share = f" ({100 * right / len(known):.1f} %)" if known else ""
    there = [(task, rows[task.name]) for task in wanted if task.name in rows]
    false = [" ".join(false_findings(task, row)) for task, row in there]
    rightly = sum(bool(row.findings()) and not false_findings(task, row) for task, row in there)
    return (
        f"{len(rows)} networks; the truth is known for {len(known)} and found, in evaluation and in training, on "
        f"{right}{share}. {sum('error ' in text for text in false)} have a false error, "
        f"{sum('warning ' in text for text in false)} a false warning; {rightly} have a right one."
    )


def is_right(row: Row) -> bool:
    return row.truth == row.found == row.found_in_training


def write(wanted: Sequence[Task], rows: Mapping[str, Row], states: str, page: Path = PAGE) -> None:
    page.write_text(text(wanted, rows, states), encoding="utf-8")


def states(wanted: Iterable[Task], results: Path) -> str:
    """How many of the results were measured with which state of the code, in a sentence."""
    known = [task for task in wanted if runner.read(task, results, None) is not None]
    counted = Counter(runner.measured_with(task, results) for task in known)
    unnamed = counted.pop("", 0)
    named = [f"{number} with commit `{state}`" for state, number in counted.most_common()]
    named += [f"{unnamed} with earlier code"] if unnamed else []
    return f"Of the {len(known)} rows were measured: {', '.join(named)}." if named else "No row was measured."


def text(wanted: Sequence[Task], rows: Mapping[str, Row], states: str) -> str:
    """The page. `states`: which code measured the rows, in a sentence."""
    from importlib.metadata import version

    packages = list(dict.fromkeys(task.family.package for task in wanted))
    versions = {row.name.partition(":")[0]: row.version for row in rows.values()}
    parts = [
        HEAD.format(
            every=runner.SAMPLE_EVERY,
            states=states,
            torch=version("torch"),
            versions=", ".join(f"{package} {versions[package]}" for package in packages if package in versions),
        ),
        summary(wanted, rows) + "\n",
        _by_package(packages, wanted, rows),
        "## Where something is not as the classes say, and why\n",
        _differences(wanted, rows),
        "## Errors and warnings that are right\n",
        _right_findings(wanted, rows),
    ]
    for package in packages:
        own = [row for row in rows.values() if row.name.partition(":")[0] == package]
        parts += [f"## {package}\n", _table(own)]
    return "\n".join(parts)


def _by_package(packages: Sequence[str], wanted: Sequence[Task], rows: Mapping[str, Row]) -> str:
    lines = ["| package | networks | truth known | right | false errors and warnings | median s |", "|" + "---|" * 6]
    for package in packages:
        there = [(t, rows[t.name]) for t in wanted if t.family.package == package and t.name in rows]
        known = [row for _, row in there if row.truth is not None or row.failure]
        seconds = statistics.median([row.seconds for _, row in there] or [0])
        false = sum(bool(false_findings(task, row)) for task, row in there)
        right = sum(is_right(row) for row in known)
        lines.append(f"| {package} | {len(there)} | {len(known)} | {right} | {false} | {seconds:.2f} |")
    return "\n".join(lines) + "\n"


def _differences(wanted: Sequence[Task], rows: Mapping[str, Row]) -> str:
    lines = []
    for task in wanted:
        row = rows.get(task.name)
        if row is None:
            continue
        problems = [row.failure] if row.failure else [*row.misses(), *false_findings(task, row)]
        if problems:
            why = task.family.differs.get(task.network.name, "not explained")
            lines.append(f"- `{task.name}`: {'; '.join(problems)}. {why[:1].upper()}{why[1:]}.")
    return "\n".join(lines or ["There is nothing."]) + "\n"


def _right_findings(wanted: Sequence[Task], rows: Mapping[str, Row]) -> str:
    lines = []
    for task in wanted:
        why, row = task.family.rightly.get(task.network.name), rows.get(task.name)
        if why is not None and row is not None and row.findings():
            lines.append(f"- `{task.name}`: {'; '.join(row.findings())}. {why[:1].upper()}{why[1:]}.")
    return "\n".join(lines or ["There are none."]) + "\n"


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
