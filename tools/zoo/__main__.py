"""Measure the public networks and write docs/zoo.md; see the package's docstring."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from torch import nn

import skipstone
import zoo
from zoo import page, runner
from zoo.families import families
from zoo.measure import attempt

RESULTS = Path(__file__).parents[2] / ".zoo"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="zoo", description=(zoo.__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only networks whose names contain one of these")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--limit", type=float, default=180, help="seconds a network may take")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results, .zoo by default")
    parser.add_argument("--page", action="store_true", help="write the page from the results that are there")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        return worker(options.words)
    wanted = runner.tasks(families(), options.words)
    if not wanted:
        parser.error(f"no network's name contains one of {options.words}")
    if not options.page:
        runner.run(wanted, options.results, jobs=options.jobs, limit=options.limit, say=_say)
    rows = page.rows(wanted, options.results)
    unexplained = page.unexplained(wanted, rows)
    for line in unexplained:
        print(line)
    print(page.summary(wanted, rows))
    if not options.words:
        page.write(wanted, rows, page.states(wanted, options.results))
    return int(bool(unexplained))


def worker(names: list[str]) -> int:
    """Measure the named networks in this process, a line of JSON each; what they print goes nowhere."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    skipstone.check(nn.Linear(2, 2), (2, 2))  # so that no network's seconds hold what is imported once
    by_name = {task.name: task for task in runner.tasks(families())}
    with open(os.devnull, "w", encoding="utf-8") as nothing, contextlib.redirect_stdout(nothing):
        for name in names:
            task = by_name[name]
            row = attempt(task.family, task.network, sample=task.sample)
            print(row.to_json().replace("\n", " "), file=out, flush=True)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
