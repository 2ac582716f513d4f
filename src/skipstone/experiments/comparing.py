"""`compare`: run what is left to run, describe what came of it, keep it beside the runs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from skipstone.core.errors import SkipstoneError
from skipstone.core.files import make_folder, write_atomically
from skipstone.experiments.alone import alone
from skipstone.experiments.comparison import COMPARISON_FILE, Comparison, Match, demand_known, summarise
from skipstone.experiments.excerpt import excerpt
from skipstone.experiments.local import LocalRunner
from skipstone.experiments.networks import NETWORKS_FILE, Networks, inspect_network
from skipstone.experiments.plan import RUNS_FOLDER, folder_name, run_label
from skipstone.experiments.possible import demand_possible
from skipstone.experiments.runner import Runner, Watcher
from skipstone.runs.folder import FolderError, holds_work
from skipstone.runs.records import RunRecord, RunSpec, read_run


def compare(
    specs: Sequence[RunSpec],
    out: str | Path,
    *,
    against: str = "",
    match: Match = "epochs",
    workers: int | None = None,
    watch: Watcher | None = None,
    runner: Runner | None = None,
) -> Comparison:
    """Train every spec in local processes and describe the groups of runs that differ in their seed alone.

    Writes `comparison.json` and `networks.json` in `out`. Runs that are complete in their folders are not run again,
    cut ones resume, and a failed one leaves its error in the outcomes and the others as they are. A spec without a
    folder gets one under `out`; `skipstone.experiments.plan` makes specs from models, options and seeds. `against`
    names what the others are compared with, a family (`plain`), a variant, an option (`width=8`) or a group's label:
    fewer pairs, so that fewer seeds establish a difference; all pairs that differ in one factor if not given. Runs
    share their epochs, unless `match` says that `skipstone.experiments.matched` chose them otherwise.
    `workers` is how many run at a time (default: the cores this process may use); `watch` is told of every epoch.
    `runner` trains elsewhere: `skipstone.experiments.cluster.RayRunner` on a cluster, where `out` must lie on storage
    all nodes share.

    Raises:
        SkipstoneError: there is no spec, specs do not share data and epochs, none (or each) is `against`, a folder
            holds another spec's run, or another process is comparing in `out`.
        OSError: `out` cannot be made.
    """
    placed = [spec if spec.out else replace(spec, out=_folder(spec, out)) for spec in specs]
    _demand_comparable(placed, ("data", "epochs") if match == "epochs" else ("data",))
    runner = runner or LocalRunner(workers)
    if against:
        demand_known(placed, against)
    runner.demand_ready()
    make_folder(out)  # where nothing can be written nothing is trained
    demand_possible([spec for spec in placed if not holds_work(Path(str(spec.out)))], here=runner.on_this_machine)
    with alone(Path(out), "being compared in"):
        outcomes = runner.run(placed, watch=watch)
        comparison = summarise(map(_record, placed), outcomes, against, match)
        write_json(Path(out) / COMPARISON_FILE, comparison.to_dict())
        if not any(outcome.status == "interrupted" for outcome in outcomes):
            write_json(Path(out) / NETWORKS_FILE, _networks(comparison, placed).to_dict())
    return comparison


def write_json(path: Path, data: object) -> None:
    """Write a JSON file whole or not at all; `FolderError` where it can't be written."""
    try:
        make_folder(path.parent)
        write_atomically(path, (json.dumps(data, indent=1) + "\n").encode())
    except OSError as error:
        raise FolderError(
            f"{path} cannot be written: {error.strerror or error}; the runs are kept, and the same command goes on"
        ) from error


def _networks(comparison: Comparison, specs: Sequence[RunSpec]) -> Networks:
    by_folder = {Path(str(spec.out)).name: spec for spec in specs}
    groups = excerpt(comparison).groups
    return Networks(tuple(inspect_network(g.label, [by_folder[run] for run in g.runs]) for g in groups))


def _folder(spec: RunSpec, out: str | Path) -> str:
    return str(Path(out) / RUNS_FOLDER / folder_name(run_label(spec.model, spec.options, spec.variant), spec.seed))


def _record(spec: RunSpec) -> RunRecord:
    """What a run left behind; of one that failed before it wrote anything, its spec alone."""
    folder = Path(str(spec.out))
    if holds_work(folder):
        return read_run(folder, flow=False, epochs="tested")
    return RunRecord(folder, spec, {}, (), (), None)


def _demand_comparable(specs: Sequence[RunSpec], shared: Sequence[str]) -> None:
    if not specs:
        raise SkipstoneError("nothing to compare: no run was given")
    for what in shared:
        found = {getattr(spec, what) for spec in specs}
        if len(found) > 1:
            raise SkipstoneError(f"runs to compare must share their {what}, found {', '.join(map(str, sorted(found)))}")
    seen: set[str | None] = set()
    for spec in specs:
        if spec.out in seen:
            raise SkipstoneError(f"two runs would share the folder {spec.out}: {spec.model} with seed {spec.seed}")
        seen.add(spec.out)
