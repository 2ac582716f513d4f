"""What a hundred thousand runs cost the driver: planner, records and statistics with the training left out.

    python benchmarks/many_runs.py [--runs 1000 10000 100000] [--folder FOLDER]

`compare` itself with a runner that writes each run's records at once: made-up numbers in real folders. Each size has a
process of its own. Printed: CPU seconds of each stage, peak memory, bytes of the report; docs/design/scale.md has them.
The folders take some 25 KB a run on a disk with blocks of 4 KB.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from skipstone.experiments import compare, comparing, plan
from skipstone.experiments.runner import Watcher, in_order, kept
from skipstone.report import write_report
from skipstone.runs.flow import FlowRecord, LayerFlow
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import EpochRecord, RunResult, RunSpec

SEEDS, EPOCHS, LAYERS = 100, 15, 20


class Simulated:
    """A cluster that trains in no time; one run in a thousand fails, one in a hundred loses its first attempt."""

    on_this_machine = False

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def demand_ready(self) -> None:
        """It is."""

    def run(self, specs: Sequence[RunSpec], *, watch: Watcher | None = None) -> list[Outcome]:
        began = time.process_time()
        outcomes = kept(specs, watch or (lambda progress: None))
        self.seconds["look for what is complete"] = time.process_time() - began
        began = time.process_time()
        for i, spec in enumerate(specs):
            if i not in outcomes:
                name = Path(str(spec.out)).name
                outcomes[i] = Outcome(name, "failed", "made up") if i % 1000 == 999 else Outcome(name, "finished")
                if outcomes[i].complete:
                    _write(spec)
        self.seconds["(write the made-up records)"] = time.process_time() - began
        return in_order(specs, outcomes)


class Timed:
    """A function, and how long its calls took."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *arguments: Any) -> Any:
        began = time.process_time()
        try:
            return self.function(*arguments)
        finally:
            self.seconds += time.process_time() - began


@cache
def _alike() -> dict[str, str]:
    """What the made-up runs have in common: their files but for the last epoch, the spec and the result."""
    drawn = random.Random(0)
    epochs = [EpochRecord(e, 2.0 / e, 0.9, 2.1 / e, 0.9, 0.1, 0.01, 1.0, 1.0) for e in range(1, EPOCHS)]
    layers = tuple(LayerFlow(f"stages.{i}.conv", "conv", drawn.random(), 1.0, 0.01) for i in range(LAYERS))
    flow = [FlowRecord(epoch=e, step=e * 12, loss=1.0, layers=layers) for e in (0, EPOCHS)]
    lines = {"metrics.jsonl": epochs, "flow.jsonl": flow}
    texts = {name: "".join(json.dumps(r.to_dict()) + "\n" for r in records) for name, records in lines.items()}
    return {**texts, "environment.json": "{}"}


def _write(spec: RunSpec) -> None:
    drawn = random.Random(f"{spec.model} {spec.options} {spec.seed}")
    top = 0.9 + 0.002 * (spec.options["width"] % 7) / 7 + drawn.gauss(0, 0.005)
    last = EpochRecord(EPOCHS, 0.1, top, 0.2, top, 0.1, 0.01, 1.0, 1.0)
    result = RunResult(top, 0.3, top, EPOCHS, top, None, 0.01, True, 10_000, EPOCHS, 15.0, spec.out)
    folder = Path(str(spec.out))
    folder.mkdir(parents=True)
    for name, text in _alike().items():
        (folder / name).write_text(text)
    with (folder / "metrics.jsonl").open("a") as metrics:
        metrics.write(json.dumps(last.to_dict()) + "\n")
    for name, record in {"spec.json": spec, "result.json": result}.items():
        (folder / name).write_text(json.dumps(record.to_dict()))


def measure(runs: int, out: Path) -> dict[str, float]:
    """Seconds by stage, and `peak bytes` of this process."""
    began = time.process_time()
    groups = runs // SEEDS
    vary = {
        "width": list(range(4, 4 + min(10, max(1, groups // 10)))),
        "dropout": [i / 20 for i in range(max(1, groups // 100))],
    }
    models = [f"{family}{depth}" for family in ("plain", "resnet") for depth in (8, 14, 20, 26, 32)]
    specs = plan(models, out=out, base=RunSpec(epochs=EPOCHS, device="cpu"), seeds=SEEDS, vary=vary)
    seconds = {"plan": time.process_time() - began}
    runner, drawing = Simulated(), Timed(comparing.inspect_network)
    comparing.inspect_network = drawing
    began = time.process_time()
    comparison = compare(specs, out, runner=runner)
    first = time.process_time() - began - runner.seconds["(write the made-up records)"]
    stages = {**runner.seconds, "draw the networks shown": drawing.seconds}
    began = time.process_time()
    compare(specs, out, runner=runner)
    again = time.process_time() - began
    began = time.process_time()
    report = write_report(out)
    return {
        **seconds, **stages, "compare, all of it": first, "the same command again": again,
        "report": time.process_time() - began, "runs": len(specs), "groups": len(comparison.groups),
        "pairs": len(comparison.differences), "report bytes": report.stat().st_size,
        "comparison bytes": (out / "comparison.json").stat().st_size,
        "peak bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        out = Path(tempfile.mkdtemp(dir=asked.folder))
        try:
            print(json.dumps(measure(asked.one, out)))
        finally:
            shutil.rmtree(out)
        return
    for runs in asked.runs:
        command = [sys.executable, __file__, "--one", str(runs), "--folder", str(asked.folder)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for name, value in found.items():
            print(
                f"{runs:>8}  {name:<28} {value:>14,.2f}"
                if isinstance(value, float)
                else f"{runs:>8}  {name:<28} {value:>14,}"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
