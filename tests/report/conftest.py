"""A comparison's folder written from made-up records, so that reports are tested without training anything."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from skipstone.core.drawing import Arc, Drawing, Row
from skipstone.experiments.comparing import write_json
from skipstone.experiments.comparison import COMPARISON_FILE, summarise
from skipstone.experiments.networks import NETWORKS_FILE, NetworkRecord, Networks
from skipstone.experiments.plan import plan
from skipstone.runs.flow import FlowRecord, LayerFlow
from skipstone.runs.outcome import Outcome
from skipstone.runs.records import EpochRecord, RunResult, RunSpec, read_run

# Final accuracies (training, validation, test) of three seeds.
FINALS = {
    "plain20": ((1.0, 0.97, 0.971), (1.0, 0.98, 0.968), (1.0, 0.965, 0.975)),
    "resnet20": ((1.0, 0.975, 0.973), (1.0, 0.97, 0.977), (1.0, 0.98, 0.971)),
    "plain56": ((0.45, 0.44, 0.46), (0.37, 0.38, 0.38), (0.52, 0.5, 0.51)),
    "resnet56": ((1.0, 0.982, 0.98), (1.0, 0.978, 0.984), (1.0, 0.98, 0.982)),
}
GROWTH = {"plain20": 1.05, "resnet20": 0.98, "plain56": 1.1, "resnet56": 0.99}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete comparison of four networks, three seeds each."""
    specs = plan(list(FINALS), out=tmp_path, base=RunSpec(epochs=5))
    for spec in specs:
        write_run(spec, *FINALS[spec.model.removeprefix("skipstone:")][spec.seed])
    outcomes = [Outcome(Path(spec.out).name, "finished") for spec in specs]
    comparison = summarise([read_run(spec.out) for spec in specs], outcomes)
    write_json(tmp_path / COMPARISON_FILE, comparison.to_dict())
    networks = Networks(tuple(NetworkRecord(name, drawing(name), "", (0, 1), bare(name), 128) for name in FINALS))
    write_json(tmp_path / NETWORKS_FILE, networks.to_dict())
    return tmp_path


@pytest.fixture
def make_drawing() -> Callable[[str], Drawing]:
    return drawing


def write_run(spec: RunSpec, train: float, val: float, test: float) -> None:
    """A finished run whose accuracies rise evenly to the given ends."""
    path = Path(spec.out)
    path.mkdir(parents=True)
    growth = GROWTH[spec.model.removeprefix("skipstone:")]
    steps = range(1, spec.epochs + 1)
    epochs = [
        EpochRecord(e, 1.0 / e, train * e / spec.epochs, 1.1 / e, val * e / spec.epochs, 0.1, train - val, 1.0, 0.5)
        for e in steps
    ]
    flow = [FlowRecord(e, e * 10, layers(spec, growth ** (1.0 if e == 0 else 0.2))) for e in (0, *steps)]
    result = RunResult(test, 0.3, val, spec.epochs, val, None, train - val, True, 12345, spec.epochs, 2.5, spec.out)
    environment = {"python": "3.11.9", "packages": {"torch": "2.13.0"}, "cores": 2, "processor": "Example <CPU> & Co"}
    files = {"spec.json": spec.to_dict(), "environment.json": environment, "result.json": result.to_dict()}
    for name, data in files.items():
        (path / name).write_text(json.dumps(data))
    for name, records in (("metrics.jsonl", epochs), ("flow.jsonl", flow)):
        (path / name).write_text("".join(json.dumps(r.to_dict()) + "\n" for r in records))


def layers(spec: RunSpec, growth: float) -> tuple[LayerFlow, ...]:
    """Gradients that grow by `growth` a layer towards the input, a little otherwise with each seed."""
    depth = int(spec.model[-2:])
    size = [growth ** (depth - i) * (1 + 0.1 * math.sin(i + spec.seed)) for i in range(depth)]
    return tuple(LayerFlow(f"conv{i}", "conv", norm, 1.0, 0.0) for i, norm in enumerate(size))


def bare(name: str) -> tuple[FlowRecord, ...]:
    """Gradients that vanish exactly in the first half of plain56."""
    depth = int(name[-2:])
    zero = depth // 2 if name == "plain56" else 0
    norms = [0.0 if i < zero else 10.0 ** (i - depth) for i in range(depth)]
    return (FlowRecord(0, 0, tuple(LayerFlow(f"conv{i}", "conv", n, 1.0) for i, n in enumerate(norms))),) * 2


def drawing(name: str) -> Drawing:
    """A row a layer; the residual ones with an arc over every two."""
    depth = int(name[-2:])
    rows = tuple(Row(f"layer{i}", "Conv2d", "conv", (2, 16, 8, 8), 432) for i in range(depth))
    kinds = ("identity", "projection")
    arcs = tuple(Arc(i, i + 2, kinds[i % 5 == 0], "add", 2) for i in range(0, depth - 2, 2))
    return Drawing(name, rows, arcs if name.startswith("resnet") else (), 432 * depth)
