"""Measure every network in a process that may die or hang, a result file each, and go on where the last run stopped."""

import hashlib
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

import skipstone
from zoo.measure import Row, failed
from zoo.network import Family, Network

TOOLS = Path(__file__).parents[1]
# Networks that one process measures: its imports are paid once for them.
_SHARE = 25
# Every so many of a table's networks are the sample that is also ablated and sized.
SAMPLE_EVERY = 8


@dataclass(frozen=True)
class Task:
    """A network to measure, and where its result goes."""

    family: Family
    network: Network
    sample: bool

    @property
    def name(self) -> str:
        return self.family.full_name(self.network)

    def file(self, results: Path) -> Path:
        return results / f"{re.sub(r'[^A-Za-z0-9_.-]', '-', self.name)}.json"


def tasks(families: Iterable[Family], words: Sequence[str] = ()) -> list[Task]:
    """Every network of the tables, or those whose names contain one of the words."""
    every = [
        Task(family, network, number % SAMPLE_EVERY == 0)
        for family in families
        for number, network in enumerate(family.networks)
    ]
    return [task for task in every if not words or any(word in task.name for word in words)]


def stamp(family: Family) -> str:
    """What a result depends on: skipstone's code, how it is measured, this table, and the packages' versions."""
    digest = hashlib.sha256()
    own = [TOOLS / "zoo" / f"{name}.py" for name in ("network", "truth", "measure")]
    table = TOOLS / "zoo" / "families" / f"{family.package.replace('-', '_')}.py"
    for file in (*sorted(Path(skipstone.__file__).parent.rglob("*.py")), *own, table):
        digest.update(file.name.encode() + (file.read_bytes() if file.is_file() else b""))
    digest.update(f"{family.package} {version(family.package)} torch {version('torch')}".encode())
    return digest.hexdigest()[:16]


def state() -> str:
    """What the code is called: its commit, with a plus where something was changed since; empty outside of git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"], cwd=TOOLS, capture_output=True, text=True
        )
    except OSError:
        return ""
    return said.stdout.strip()


def read(task: Task, results: Path, wanted: str | None) -> Row | None:
    """The network's result, if it is there, whole, and of the wanted stamp (None: of any)."""
    found, row = _read(task, results)
    return row if wanted is None or found[:1] == [wanted] else None


def measured_with(task: Task, results: Path) -> str:
    """The state of the code that a result was measured with; empty where none is named."""
    found, _ = _read(task, results)
    return " ".join(found[1:])


def _read(task: Task, results: Path) -> tuple[list[str], Row | None]:
    """A result's first line in words, stamp and state, and its row; None where there is none, or half of one."""
    try:
        found, _, text = task.file(results).read_text(encoding="utf-8").partition("\n")
        return found.split(), Row.from_json(text)
    except (OSError, ValueError, TypeError, KeyError):
        return [], None


def write(task: Task, results: Path, row: Row, made: str) -> None:
    """All of it or nothing: a run that is cut off leaves no half of a file under its name."""
    file = task.file(results)
    whole = file.with_suffix(".part")
    whole.write_text(f"{made}\n{row.to_json()}\n", encoding="utf-8")
    whole.replace(file)


def run(
    wanted: Sequence[Task],
    results: Path,
    *,
    jobs: int,
    limit: float,
    say: Callable[[str], None],
    command: Sequence[str] = (sys.executable, "-W", "ignore", "-m", "zoo", "--worker"),
) -> None:
    """Measure what has no result of today's code; `limit` is in seconds a network."""
    results.mkdir(parents=True, exist_ok=True)
    stamps = {task.family.package: stamp(task.family) for task in wanted}
    code = state()
    missing = [task for task in wanted if not _is_done(read(task, results, stamps[task.family.package]))]
    say(f"{len(wanted) - len(missing)} of {len(wanted)} results are there; {len(missing)} to measure")
    shares = [tasks[i : i + _SHARE] for tasks in _by_package(missing) for i in range(0, len(tasks), _SHARE)]

    def work(share: Sequence[Task]) -> None:
        for task, row in _measured(share, limit, command):
            write(task, results, row, f"{stamps[task.family.package]} {code}")
            say(f"{task.name}: {'; '.join(row.problems()) or 'right'} ({row.seconds:.1f} s)")

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, shares))


def _is_done(row: Row | None) -> bool:
    """Is there a result? One that came to no end is tried again: the machine may have been busy."""
    return row is not None and not row.failure and not row.stopped


def _by_package(wanted: Sequence[Task]) -> list[list[Task]]:
    packages = dict.fromkeys(task.family.package for task in wanted)
    return [[task for task in wanted if task.family.package == package] for package in packages]


def _measured(share: Sequence[Task], limit: float, command: Sequence[str]) -> Iterator[tuple[Task, Row]]:
    """The rows of one process after another: the next begins after the network at which the last one died."""
    left = list(share)
    while left:
        with subprocess.Popen(
            [*command, *(task.name for task in left)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"},
        ) as process:
            assert process.stdout is not None
            while left and (line := _line(process.stdout, limit)):
                yield left.pop(0), Row.from_json(line)
            words = f"not done in {limit:.0f} s" if left and line is None else "the process died"
            process.kill()
        if left:
            task = left.pop(0)
            yield task, failed(task.family, task.network, words)


def _line(stream: IO[bytes], limit: float) -> str | None:
    """The next line; empty at the stream's end, None after `limit` seconds of silence."""
    return stream.readline().decode() if select.select([stream], [], [], limit)[0] else None
