"""One self-contained HTML file from the records of a comparison. Nothing here imports torch or reads the network."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from skipstone.core.codec import Json
from skipstone.experiments import Comparison, Group, read_comparison, read_group_runs
from skipstone.experiments.excerpt import LINES_SHOWN, excerpt
from skipstone.experiments.networks import NetworkRecord, read_networks
from skipstone.report import arcs, figures, update_rule, words
from skipstone.report.figures import Figure, FlowLine
from skipstone.report.templates import render
from skipstone.runs.flow import FlowRecord
from skipstone.runs.flow.drawing import Line, flow_svg
from skipstone.runs.records import RunRecord

REPORT_FILE = "report.html"
_SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")


@dataclass(frozen=True)
class Records:
    """Everything a report is made from, as read from the folder of a comparison."""

    comparison: Comparison
    runs: dict[str, tuple[RunRecord, ...]]
    networks: dict[str, NetworkRecord]

    @cached_property
    def colours(self) -> dict[str, str]:
        return figures.colours(self.comparison.groups)

    def flow(self, groups: Sequence[Group], epoch: int) -> list[FlowLine]:
        """The gradient of these groups' runs at the first step (epoch 0) or at the end of a run (-1)."""
        return [
            FlowLine(group.label, figures.kind(group), run.spec.seed, record)
            for group in groups
            for run in self.runs[group.label]
            if (record := _at(run.flow, epoch))
        ]

    def bare(self, groups: Sequence[Group]) -> list[FlowLine]:
        """The gradient of the first step with normalisation left out, where the network has that option."""
        return [
            FlowLine(group.label, figures.kind(group), seed, record)
            for group in groups
            if (network := self.networks.get(group.label))
            for seed, record in zip(network.seeds, network.bare, strict=False)
        ]


def read_records(folder: str | Path) -> Records:
    """Read a comparison's folder; `RecordError` names the file that is missing or not ours."""
    comparison = excerpt(read_comparison(folder))
    runs = {group.label: read_group_runs(folder, group) for group in comparison.groups}
    return Records(comparison, runs, {n.label: n for n in read_networks(folder).networks})


def write_report(folder: str | Path, *, title: str | None = None) -> Path:
    """Write `report.html` into the folder of a comparison, beside its `comparison.json`, and return its path.

    The file holds everything it needs, scripts included, and makes no request of any network.

    Raises:
        RecordError: the folder holds no comparison, or a file in it is not what skipstone writes.
    """
    path = Path(folder) / REPORT_FILE
    path.write_text(page(read_records(folder), title=title), encoding="utf-8")
    return path


def page(records: Records, *, title: str | None = None) -> str:
    """The report as HTML."""
    comparison = records.comparison
    bound = update_rule.largest_movable(update_rule.GRADIENT * update_rule.RATE)
    drawings = [n.drawing for n in records.networks.values() if n.drawing]
    return render(
        "report.html.jinja",
        title=title or f"{_counted(len(comparison.groups), 'network')} compared on {comparison.data}",
        comparison=comparison,
        subtitle=_subtitle(comparison),
        lead=words.lead(comparison),
        differences=words.ordered(comparison),
        training_notes=words.training_notes(comparison.groups),
        percent=words.percent, spread=words.spread, points=words.points, interval=words.interval_text,
        colours=records.colours, kind=figures.kind,
        macs={name: network.macs for name, network in records.networks.items()},
        accuracy=figures.dots(comparison.groups, "test_accuracy", "Test accuracy") if comparison.groups else None,
        gap=figures.dots(comparison.groups, "overfitting_gap", "Training less validation accuracy", in_points=True)
        if comparison.groups else None,
        curves=[figures.curves(g, records.runs[g.label], records.colours[figures.kind(g)]) for g in comparison.groups],
        turned={g.label: _turned(records.runs[g.label]) for g in comparison.groups},
        drawings=[(d, arcs.strip_svg(d), arcs.describe(d)) for d in drawings],
        undrawn=[n for n in records.networks.values() if n.drawing is None],
        legend=arcs.legend(drawings),
        arc_kinds=dict.fromkeys(arc.kind for drawing in drawings for arc in drawing.arcs),
        flow_rows=_flow_rows(records), flow_by_network=_flow_by_network(records),
        steps=update_rule.steps(), gradient=update_rule.GRADIENT, rate=update_rule.RATE,
        bound=bound, exponent=round(math.log2(bound)),
        recipe=_recipe(records), environment=_environment(records),
        scripts=[_script(name) for name in _SCRIPTS],
        licences=_vendored("LICENSES"), lines_shown=LINES_SHOWN,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class FlowRow:
    """Gradient figures of the networks of one depth, side by side, and what they show in words."""

    title: str
    figures: tuple[Figure, ...]
    notes: tuple[words.FlowNote, ...]


def _flow_rows(records: Records) -> list[FlowRow]:
    """A row a depth: the first step as trained, the last epoch, the first step without normalisation."""
    rows = []
    groups = records.comparison.groups
    for depth in dict.fromkeys(group.depth for group in groups):
        members = [group for group in groups if group.depth == depth]
        moments = (
            ("As trained, first step", records.flow(members, 0)),
            ("As trained, last epoch", records.flow(members, -1)),
            ("No normalisation, first step", records.bare(members)),
        )
        shown = tuple(figures.flow(name, lines, records.colours) for name, lines in moments if lines)
        notes = tuple(note for name, lines in moments for note in words.flow_notes(lines, name))
        if shown:
            rows.append(FlowRow("Networks" if depth is None else f"Depth {depth}", shown, notes))
    return rows


def _flow_by_network(records: Records) -> str:
    """The gradient at each layer's output, a network at a time, at the first and the last recorded epoch, as SVG."""
    panels = []
    for group in records.comparison.groups:
        moments = (("first step", records.flow([group], 0)), ("last epoch", records.flow([group], -1)))
        lines = [Line.mean(name, [line.record for line in found]) for name, found in moments if found]
        if lines:
            panels.append((f"{group.label}, n = {len(records.runs[group.label])}", lines))
    return flow_svg(panels) if panels else ""


def _at(flow: Sequence[FlowRecord], epoch: int) -> FlowRecord | None:
    if epoch < 0:
        return flow[-1] if flow and flow[-1].epoch > 0 else None
    return next((record for record in flow if record.epoch == epoch), None)


def _turned(runs: Sequence[RunRecord]) -> str:
    """In how many seeds the validation loss turned upwards, and at which epochs."""
    epochs = [run.result.turned_epoch for run in runs if run.result and run.result.turned_epoch]
    if not epochs:
        return f"0 of {len(runs)}"
    return f"{len(epochs)} of {len(runs)} (epoch{'s' * (len(epochs) > 1)} {', '.join(map(str, epochs))})"


def _subtitle(comparison: Comparison) -> str:
    seeds = sorted({seed for group in comparison.groups for seed in group.seeds})
    runs = sum(outcome.complete for outcome in comparison.outcomes)
    listed = ", ".join(map(str, seeds)) if len(seeds) <= 12 else f"{seeds[0]} to {seeds[-1]}"
    named = f"{_counted(len(seeds), 'seed')} ({listed})"
    return f"{_counted(runs, 'complete run')}, {_epochs(comparison)}, {named}"


def _epochs(comparison: Comparison) -> str:
    """`15 epochs each`; where they were matched otherwise, by what, and each network's."""
    if comparison.match == "epochs":
        return f"{_counted(comparison.epochs, 'epoch')} each"
    each = ", ".join(f"{group.label} {group.epochs}" for group in comparison.groups)
    return f"epochs matched by {words.MATCHED[comparison.match]} ({each})"


def _recipe(records: Records) -> list[tuple[str, str]]:
    """The settings all runs share, by name; a setting that differs between runs says so."""
    specs = [run.spec.to_dict() for runs in records.runs.values() for run in runs]
    settings: dict[str, list[object]] = {}
    for spec in specs:
        flat = {**spec, **spec["recipe"]}
        for key in flat.keys() - {"schema", "version", "recipe", "model", "options", "seed", "out", "flow"}:
            settings.setdefault(key, []).append(flat[key])
    options = [spec["options"] for spec in specs]
    shared = {k: v for k, v in (options[0] if options else {}).items() if all(o.get(k) == v for o in options)}
    shown = {key: found[0] if len(set(map(repr, found))) == 1 else "differs" for key, found in settings.items()}
    return [(key.replace("_", " "), _setting(value)) for key, value in sorted((shown | shared).items())]


def _environment(records: Records) -> list[tuple[str, str]]:
    """Hardware and versions, every distinct value where runs do not agree; when the first run started; resumptions."""
    environments = [run.environment for runs in records.runs.values() for run in runs]
    found: dict[str, dict[str, None]] = {}
    for environment in environments:
        kept = {key: value for key, value in environment.items() if key not in ("started", "command", "resumed")}
        for key, value in _flat(kept).items():
            found.setdefault(key, {})[_setting(value)] = None
    rows = [(key.replace("_", " "), "; ".join(values)) for key, values in found.items()]
    if started := [environment["started"] for environment in environments if "started" in environment]:
        rows.insert(0, ("first run started", min(started)))
    if resumed := sum("resumed" in environment for environment in environments):
        rows.append(("runs that were resumed", str(resumed)))
    return rows


def _flat(environment: Json) -> Json:
    """Nested objects (the packages and their versions) one level up."""
    flat: Json = {}
    for key, value in environment.items():
        flat |= _flat(value) if isinstance(value, dict) else {key: value}
    return flat


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_setting, value)) or "none"
    if value is None:
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _script(name: str) -> str:
    """A vendored script without its pointer to a source map, which a browser's tools would try to fetch."""
    return re.sub(r"\n?//# sourceMappingURL=\S+\s*$", "", _vendored(name))


def _vendored(name: str) -> str:
    return files("skipstone.report").joinpath("vendor", name).read_text(encoding="utf-8")
