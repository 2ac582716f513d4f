"""The report's figures as Vega-Lite specifications: plain dicts, drawn in the reader's browser.

Text and axes take the colour of the page (`currentColor`), so one figure serves light, dark and print.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeVar

from skipstone.core.codec import Json
from skipstone.experiments import Group
from skipstone.runs.flow import FlowRecord
from skipstone.runs.records import RunRecord

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
T = TypeVar("T")
POINTS_SHOWN = 60
"""Epochs of a curve, and seeds of a group, that are drawn: more tell the eye nothing and make the page heavy."""

PALETTE = ("#d1661a", "#2f7fd1", "#2b9a78", "#9a62d8", "#a8852a", "#cf4f7c", "#6f8296")
"""Readable on white and on near-black; networks of a kind keep their colour throughout a report."""

# 0.01, 1, 100 as they are, beyond that powers of ten: 1e-20.
_POWER = "datum.value >= 0.009 && datum.value < 9999 ? format(datum.value, '~g') : format(datum.value, '.0e')"
_FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
_CONFIG: Json = {
    "background": None,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor", "titleColor": "currentColor", "domainColor": "currentColor",
        "tickColor": "currentColor", "gridColor": "currentColor", "gridOpacity": 0.13, "domainOpacity": 0.5,
        "tickOpacity": 0.5, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500, "labelLimit": 260,
    },
    "legend": {
        "labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "titleFontSize": 12,
        "orient": "bottom", "title": None, "symbolStrokeColor": "currentColor",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure and what stands above and below it."""

    title: str
    spec: Json
    caption: str = ""


@dataclass(frozen=True, slots=True)
class FlowLine:
    """The gradient norm of every layer, in order, in one run at one moment."""

    label: str
    kind: str
    seed: int
    record: FlowRecord


def kind(group: Group) -> str:
    """What networks of one colour have in common: all but their depth.

    The family, with the variant and the options where those are what a comparison varies.
    """
    options = [f"{name}={value}" for name, value in group.options.items()]
    return " ".join([group.family, *([group.variant] if group.variant else []), *options])


def colours(groups: Sequence[Group]) -> dict[str, str]:
    """A colour a kind, in the order the kinds come."""
    kinds = dict.fromkeys(map(kind, groups))
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(kinds)}


def curves(group: Group, runs: Sequence[RunRecord], colour: str) -> Figure:
    """Accuracy per epoch: training solid, validation dashed; the mean heavy, every seed thin."""
    values = [
        {"epoch": record.epoch, "seed": run.spec.seed, "images": images, "accuracy": _finite(accuracy)}
        for run in runs
        for record in _thinned(run.epochs, POINTS_SHOWN)
        for images, accuracy in (("training", record.train_accuracy), ("validation", record.val_accuracy))
    ]
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"tickMinStep": 1, "grid": False}}
    dash = {
        "field": "images", "type": "nominal",
        "legend": {"symbolStrokeColor": colour, "symbolOpacity": 1, "symbolStrokeWidth": 2, "symbolSize": 300},
        "scale": {"domain": ["training", "validation"], "range": [[1, 0], [5, 4]]},
    }  # fmt: skip
    accuracy = {"type": "quantitative", "title": "accuracy", "scale": {"domain": [0, 1]}, "axis": _percent()}
    seeds = {
        "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.45, "color": colour},
        "encoding": {
            "x": x, "y": {"field": "accuracy", **accuracy}, "strokeDash": dash, "detail": {"field": "seed"},
            "tooltip": [{"field": "images"}, {"field": "seed"}, {"field": "epoch"},
                        {"field": "accuracy", "format": ".1%"}],
        },
    }  # fmt: skip
    mean = {
        "mark": {"type": "line", "strokeWidth": 2.6, "color": colour},
        "encoding": {"x": x, "y": {"field": "accuracy", "aggregate": "mean", **accuracy}, "strokeDash": dash},
    }
    return Figure(group.label, _spec(values, 190, layer=[seeds, mean]))


def _thinned(values: Sequence[T], count: int) -> Sequence[T]:
    """All of them, or so many, evenly over them, first and last among them."""
    if len(values) <= count:
        return values
    return [values[round(i * (len(values) - 1) / (count - 1))] for i in range(count)]


def dots(groups: Sequence[Group], measure: str, title: str, *, in_points: bool = False) -> Figure:
    """Every seed's value of a measure, the mean as a bar and its 95 % interval, a line a group.

    Of very many seeds an even choice is drawn. A difference of accuracies is labelled in percentage points.
    """
    colour = colours(groups)
    points, means = [], []
    for group in groups:
        found = getattr(group, measure)
        head = {"network": group.label, "kind": kind(group)}
        seeds = _thinned(list(zip(group.seeds, found.values, strict=True)), POINTS_SHOWN)
        points += [{**head, "seed": s, "value": _finite(v)} for s, v in seeds]
        means.append({**head, "value": _finite(found.mean), "low": found.low, "high": found.high, "n": found.n})
    y = {"field": "network", "type": "nominal", "sort": [g.label for g in groups], "title": None}
    low, high = _bounds(groups, measure)
    scale = {"domain": [low, high], "nice": False, "clamp": True}
    x = {"field": "value", "type": "quantitative", "title": None, "scale": scale, "axis": _percent(high - low)}
    if in_points:
        x["title"], x["axis"] = "percentage points", {"labelExpr": "format(datum.value * 100, '~g')", "tickCount": 6}
    ink = {"field": "kind", "type": "nominal", "legend": None,
           "scale": {"domain": list(colour), "range": list(colour.values())}}  # fmt: skip
    layers = [
        {
            "data": _data(means), "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.35},
            "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}, "color": ink},
        },
        {
            "data": _data(means), "mark": {"type": "tick", "thickness": 3, "size": 20},
            "encoding": {"y": y, "x": x, "color": ink,
                         "tooltip": _tips("network", "n", value=".2%", low=".2%", high=".2%")},
        },
        {
            "data": _data(points),
            "mark": {"type": "point", "size": 52, "filled": False, "strokeWidth": 1.6, "opacity": 1},
            "encoding": {"y": y, "x": x, "color": ink, "tooltip": _tips("network", "seed", value=".2%")},
        },
    ]  # fmt: skip
    return Figure(title, _spec(None, 30 * len(groups), layer=layers))


def flow(title: str, lines: Sequence[FlowLine], colour: dict[str, str]) -> Figure:
    """Gradient norm of each layer on a logarithmic scale, a thin line a seed and their geometric mean heavy.

    A norm of exactly zero has no logarithm: it is set at the foot of the scale as a cross and counted in the caption.
    """
    norms = [_finite(layer.grad_norm) for line in lines for layer in line.record.layers]
    positive = [norm for norm in norms if norm]
    foot = 10.0 ** math.floor(math.log10(min(positive)) - 1) if positive else 1e-12
    values = [
        {
            "layer": i, "name": layer.name, "network": line.label, "kind": line.kind, "seed": line.seed,
            "norm": layer.grad_norm or foot, "zero": layer.grad_norm == 0,
        }
        for line in lines
        for i, layer in enumerate(line.record.layers, start=1)
        if math.isfinite(layer.grad_norm)
    ]  # fmt: skip
    means, ticks = _geometric_means(values), log_ticks([norm or foot for norm in norms if norm is not None])
    ink = {"field": "kind", "type": "nominal", "scale": {"domain": list(colour), "range": list(colour.values())},
           "legend": {"symbolType": "stroke", "symbolStrokeWidth": 3, "symbolOpacity": 1}}  # fmt: skip
    x = {"field": "layer", "type": "quantitative", "title": "layer, from the input",
         "axis": {"grid": False, "tickCount": 6, "labelOverlap": True}}  # fmt: skip
    y = {"field": "norm", "type": "quantitative", "title": "gradient norm",
         "axis": {"labelExpr": _POWER, "values": ticks},
         "scale": {"type": "log", "domain": [ticks[0], ticks[-1]], "nice": False}}  # fmt: skip
    layers = [
        {"mark": {"type": "line", "strokeWidth": 1, "opacity": 0.4}, "encoding": {
            "x": x, "y": y, "color": ink, "detail": {"field": "seed"},
            "tooltip": _tips("network", "seed", "name", norm=".3g")}},
        {"data": _data(means), "mark": {"type": "line", "strokeWidth": 2.4},
         "encoding": {"x": x, "y": y, "color": ink}},
    ]  # fmt: skip
    if zeros := [value for value in values if value["zero"]]:
        cross = {"type": "point", "shape": "cross", "size": 24}
        layers.append({"data": {"values": zeros}, "mark": cross, "encoding": {"x": x, "y": y, "color": ink}})
    return Figure(title, _spec(values, 200, layer=layers), _flow_caption(norms))


def log_ticks(values: Sequence[float]) -> list[float]:
    """About six round numbers that enclose the values: powers of ten, with 2 and 5 between where they span little."""
    if not values:
        return [0.1, 1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    if high - low <= 2:
        fine = [m * 10.0**e for e in range(low, high + 1) for m in (1, 2, 5)]
        first = max((i for i, tick in enumerate(fine) if tick <= min(values)), default=0)
        last = min((i for i, tick in enumerate(fine) if tick >= max(values)), default=len(fine) - 1)
        return fine[first : max(last, first + 1) + 1]
    step = math.ceil((high - low) / 6)
    return [10.0**e for e in range(high - step * math.ceil((high - low) / step), high + 1, step)]


def _geometric_means(values: Sequence[Json]) -> list[Json]:
    """The mean over seeds of every layer of every kind of network, taken of logarithms."""
    gathered: dict[tuple[str, int], list[float]] = {}
    for value in values:
        gathered.setdefault((value["kind"], value["layer"]), []).append(math.log(value["norm"]))
    return [{"kind": name, "layer": layer, "norm": math.exp(fmean(logs))} for (name, layer), logs in gathered.items()]


def _flow_caption(norms: Sequence[float | None]) -> str:
    zeros, lost = sum(norm == 0 for norm in norms), sum(norm is None for norm in norms)
    parts = []
    if zeros:
        parts.append(f"{zeros:,} of {len(norms):,} norms are exactly zero (crosses at the foot)")
    if lost:
        parts.append(f"{lost:,} of {len(norms):,} are NaN or infinite (left out)")
    return "; ".join(parts)


def _spec(values: list[Json] | None, height: int, **body: Any) -> Json:
    data = {} if values is None else {"data": _data(values)}
    return {
        "$schema": SCHEMA, **data, "width": "container", "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"}, "config": _CONFIG, **body,
    }  # fmt: skip


def _percent(span: float = 1.0) -> Json:
    """An axis in percent, with decimals where it spans few: no two ticks bear one label."""
    return {"format": ".0%" if span > 0.08 else ".1%", "tickCount": 6}


def _tips(*fields: str, **formats: str) -> list[Json]:
    return [{"field": f} for f in fields] + [{"field": f, "format": form} for f, form in formats.items()]


def _bounds(groups: Sequence[Group], measure: str) -> list[float]:
    """A scale that holds every point and interval, with a little air; not always from 0, since dots are no bars."""
    found = [getattr(group, measure) for group in groups]
    ends = [v for s in found for v in (*s.values, s.low, s.high) if v is not None and math.isfinite(v)] or [0.0, 1.0]
    air = max(0.005, (max(ends) - min(ends)) * 0.05)
    return [min(ends) - air, max(ends) + air]


def _data(rows: list[Json]) -> Json:
    return {"values": [{key: _short(value) for key, value in row.items()} for row in rows]}


def _short(value: Any) -> Any:
    """A float with as many digits as a point has room for."""
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
