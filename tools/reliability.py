"""Run the batteries that try to break skipstone, and write how they ended to docs/reliability.md.

    python tools/reliability.py                     all of them, some minutes each on a quiet core
    python tools/reliability.py commands kills      these; the other rows of the page stay

A battery is what the tests hold a part of in every run, tried to its end: it says how many things it tried and which
of them did not come out as they should. What these are is in the tests' files, which it calls.
"""

import argparse
import contextlib
import io
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
HEAD = "| battery | tried | not as it should be | date | torch | Python |"


@dataclass
class Outcome:
    """How many things were tried, and those that did not come out as they should, in words."""

    tried: int
    wrong: list[str]


def commands() -> Outcome:
    """Commands and settings that cannot run: each ends with status 2 and one line."""
    import bad_commands
    from skipstone.cli import run

    wrong, tried = [], 0
    with _in_folder() as folder:
        bad_commands.prepare(folder)
        subprocess.run(["git", "init", "-q"], check=True)
        settings = [(bad_commands.with_settings(text), text) for text in bad_commands.SETTINGS]
        for command, text in [*((command, None) for command in bad_commands.commands()), *settings]:
            if text is not None:
                (folder / "pyproject.toml").write_text(text)
            told = io.StringIO()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
                status = run(list(command))
            tried += 1
            if (why := bad_commands.wrong(status, told.getvalue())) is not None:
                wrong.append(f"{' '.join(command)[:80]!r} {text or ''}: {why}")
    return Outcome(tried, wrong)


def inplace() -> Outcome:
    """Networks drawn at random that write in place: refused where the backward pass is, and nowhere else."""
    from tests.tracing.test_inplace_random import disagreements

    seeds = range(4300)
    missed, false, _ = disagreements(seeds)
    return Outcome(len(seeds), [f"seed {seed} is missed" for seed in missed] + [f"seed {s} is false" for s in false])


def checkpoints() -> Outcome:
    """Ways to write over what a checkpoint was called with: the record says what the backward pass does."""
    from tests.tracing import test_checkpoints as table

    from skipstone.tracing import trace

    wrong, tried = [], 0
    for region, write, reentrant in table.every():
        net = table.Net(table.REGIONS[region], table.WRITES[write], reentrant)
        tried += 1
        if bool(trace(net, table.SHAPE).refusals) != table.refused_by_torch(net):
            wrong.append(f"{region}, {write}, reentrant {reentrant}")
    return Outcome(tried, wrong)


def refusals() -> Outcome:
    """Calls that torch refuses or takes, by dtypes, shapes, indices and empty maps: none clean that raises."""
    from tests.checks import test_refusals as table

    wrong = [f"{name}: {said}" for name in table.CASES if (said := table.disagreement(name)) is not None]
    return Outcome(len(table.CASES), wrong)


def sizes() -> Outcome:
    """Sizes of two-branch networks drawn at random: legal, stretched or refused as in real runs."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st
    from tests.sizes import test_random as table

    import skipstone

    wrong: list[str] = []
    tried = [0]

    @settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(table.BRANCH, table.BRANCH, st.booleans())
    def compare(a, b, add):  # type: ignore[no-untyped-def]
        model = table.Branches(a, b, add).eval()
        report = skipstone.legal_sizes(model, (1, 2, "h", "h"), h=table.SIZES)
        real = table.real(model, table.SIZES)
        said = (set(report.legal), set(report.broadcast))
        tried[0] += len(table.SIZES)
        differ = {size for size in table.SIZES if [size in part for part in said] != [size in part for part in real]}
        wrong.extend(f"{size} of {a} and {b}" for size in sorted(differ))

    compare()
    return Outcome(tried[0], wrong)


def untouched() -> Outcome:
    """Awkward models before and after each public function: equal to the bit."""
    from tests.tracing import awkward, test_awkward

    wrong, tried = [], 0
    for name in awkward.MODELS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            changed = test_awkward.changed(name)
        tried += len(test_awkward.FUNCTIONS)
        wrong += [f"{name} by {function}: {what}" for function, what in changed.items()]
    return Outcome(tried, wrong)


def kills() -> Outcome:
    """A run killed at each system call that changes a file, and gone on with: the numbers of an undisturbed run."""
    return _broken("kill")


def full_disks() -> Outcome:
    """A run whose disk is full at each such call, and gone on with: the same."""
    return _broken("full_disk")


def _broken(how: str) -> Outcome:
    import torch
    from tests.training import test_resume as table

    import breaking
    from skipstone.training import train

    torch.set_num_threads(1)  # a forked process would wait for threads that it does not have
    wrong = []
    with _in_folder() as folder:
        networks = table.network_specs(folder)
        with breaking.breaking(0, breaking.kill) as made:
            train(networks("Counter", folder / "whole", epochs=2))
        for at in range(1, len(made) + 1):
            spec = networks("Counter", folder / f"r{at}", epochs=2)

            def broken(at: int = at, spec=spec) -> None:  # type: ignore[no-untyped-def]
                with breaking.breaking(at, getattr(breaking, how)):
                    train(spec, resume=True)

            status = breaking.in_child(broken)
            train(spec, resume=True)
            if status not in (-signal.SIGKILL, 0, 1) or table.numbers(spec.out) != table.numbers(folder / "whole"):
                wrong.append(f"call {at}, {made[at - 1]}")
    return Outcome(len(made), wrong)


BATTERIES: dict[str, Callable[[], Outcome]] = {
    "commands": commands,
    "inplace": inplace,
    "checkpoints": checkpoints,
    "refusals": refusals,
    "sizes": sizes,
    "untouched": untouched,
    "kills": kills,
    "full disks": full_disks,
}


@contextlib.contextmanager
def _in_folder() -> Iterator[Path]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def label(name: str) -> str:
    """The first cell of a battery's row: its name and what it does."""
    return f"**{name}**: {' '.join((BATTERIES[name].__doc__ or '').split()).rstrip('.')}"


def row(name: str, outcome: Outcome) -> str:
    """The battery's line of the page."""
    cells = [
        label(name), f"{outcome.tried:,}", str(len(outcome.wrong)), datetime.now(UTC).date().isoformat(),
        version("torch"), platform.python_version(),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def with_row(page: str, name: str, line: str) -> str:
    """The page with the battery's row in place of the one that stood there."""
    changed, found = re.subn(rf"^\| \*\*{re.escape(name)}\*\*:.*$", lambda _: line, page, flags=re.MULTILINE)
    if found != 1:
        sys.exit(f"{PAGE} has {found} rows for {name}, expected one")
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("batteries", nargs="*", metavar="BATTERY", help=f"{', '.join(BATTERIES)}; all if none is given")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.batteries) - set(BATTERIES)):
        parser.error(f"unknown battery {', '.join(unknown)}, expected {', '.join(BATTERIES)}")
    worst = 0
    for name in options.batteries or BATTERIES:
        outcome = BATTERIES[name]()
        worst += len(outcome.wrong)
        print(f"{name}: {outcome.tried:,} tried, {len(outcome.wrong)} not as they should be", flush=True)
        for words in outcome.wrong:
            print(f"  {words}", flush=True)
        PAGE.write_text(with_row(PAGE.read_text(encoding="utf-8"), name, row(name, outcome)), encoding="utf-8")
    return 1 if worst else 0


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
    sys.exit(main())
