"""A record as a table and what it means, for a terminal.

Columns: `grad(out)` and `grad(w)` are the 2-norms of the gradient at a layer's output and of its weight, `w` that of
the weight, `step/w` the step's length beside it, `unmoved` the share of elements that the step left as they were,
`out rms` the root mean square of the output. Of a skip x + F: `F/x` the ratio of their norms, `cos` their cosine,
`var(F)` the branch's share of the variance, `dead` the share of additions that change nothing, and `shortcut` and
`branch` the shares of the gradient that come back by either.
"""

import math
from collections.abc import Sequence

from skipstone.runs.flow.record import FlowRecord, LayerFlow, SkipFlow
from skipstone.runs.flow.verdicts import decay_of

_LONGEST = 30  # of a name: the numbers beside it have to fit 80 columns
_NAMES = {"layer", "into", "joined in", "map of"}  # columns of paths, of which the ends tell
_LEAST = 8  # characters of a path that are shown wherever there is one
_MOST = 24  # layers, or skips, shown in full; of more the ends are

LAYER_COLUMNS = ("layer", "grad(out)", "grad(w)", "w", "step/w", "unmoved", "out rms")
SKIP_COLUMNS = ("skip", "into", "F/x", "cos", "var(F)", "dead", "shortcut", "branch")
REUSE_COLUMNS = ("joined in", "map of", "channels", "of weights", "of gradient")


def layer_rows(record: FlowRecord) -> list[tuple[str, ...]]:
    """The cells of the layers' table, in the order of `LAYER_COLUMNS`."""
    return [_layer_row(layer) for layer in record.layers]


def _layer_row(layer: LayerFlow) -> tuple[str, ...]:
    return (
        short(layer.name), number(layer.output_grad_norm), number(layer.grad_norm), number(layer.weight_norm),
        number(layer.update_ratio), share(layer.unmoved), number(layer.output_rms),
    )  # fmt: skip


def skip_rows(record: FlowRecord) -> list[tuple[str, ...]]:
    """The cells of the table of additions, in the order of `SKIP_COLUMNS`."""
    return [_skip_row(skip) for skip in record.skips if not skip.reuse]


def _skip_row(skip: SkipFlow) -> tuple[str, ...]:
    branch = None if skip.grad_share is None else 1 - skip.grad_share
    return (
        f"{skip.index} {skip.kind}", short(skip.target), number(skip.ratio), decimal(skip.cosine),
        share(skip.variance_share), share(skip.dead), share(skip.grad_share), share(branch),
    )  # fmt: skip


def reuse_rows(record: FlowRecord) -> list[tuple[str, ...]]:
    """The cells of the table of concatenations, in the order of `REUSE_COLUMNS`."""
    return [
        (short(skip.target), short(part.source), str(part.channels), share(part.weight_share), share(part.grad_share))
        for skip in record.skips
        for part in skip.reuse
    ]


def record_text(record: FlowRecord) -> str:
    """The layers, the skips, the factor per layer, the verdicts and what could not be measured."""
    parts = [table(LAYER_COLUMNS, layer_rows(record))]
    if rows := skip_rows(record):
        parts.append(table(SKIP_COLUMNS, rows))
    if rows := reuse_rows(record):
        parts.append(table(REUSE_COLUMNS, rows))
    parts.append(summary(record))
    return "\n\n".join(parts)


def summary(record: FlowRecord) -> str:
    """The factor per layer, the verdicts and the notes, a line each."""
    lines = [str(verdict) for verdict in record.verdicts]
    if fit := decay_of(record):
        straight = f"a straight line explains {fit.r2:.0%} of it"
        lines.insert(0, f"per layer, going backwards: times {fit.factor:.4g} ({straight})")
    lines += [f"not measured: {note}" for note in record.notes]
    unmeasured = [skip for skip in record.skips if skip.note]
    lines += [f"not measured: skip {skip.index} into {skip.target}: {skip.note}" for skip in unmeasured[:3]]
    if len(unmeasured) > 3:
        lines.append(f"not measured: {len(unmeasured) - 3} more skips")
    return "\n".join(lines)


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Aligned columns, the first one to the left; of a long table its two ends."""
    shown = shortened(rows)
    widths = [max(len(row[k]) for row in (columns, *shown)) for k in range(len(columns))]
    lines = [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in (columns, *shown)
    ]
    return "\n".join(line.rstrip() for line in lines)


def shortened(rows: list[tuple[str, ...]], most: int = _MOST) -> list[tuple[str, ...]]:
    """The rows, or the first and last ones with a line between that says how many are left out."""
    if len(rows) <= most:
        return rows
    half = most // 2
    gap = (f"... {len(rows) - 2 * half} more", *([""] * (len(rows[0]) - 1)))
    return [*rows[:half], gap, *rows[-half:]]


def fitted(columns: Sequence[str], rows: list[tuple[str, ...]], width: int, gap: int = 2) -> list[tuple[str, ...]]:
    """The rows with their paths cut at the beginning, so that a table of this width holds every number whole."""
    widths = {name: max(map(len, (name, *cells))) for name, *cells in zip(columns, *rows, strict=True)}
    left = width - gap * (len(columns) - 1) - sum(size for name, size in widths.items() if name not in _NAMES)
    longest = max(_LEAST, left // max(1, len(_NAMES & widths.keys())))
    return [
        tuple(short(cell, longest) if name in _NAMES else cell for name, cell in zip(columns, row, strict=True))
        for row in rows
    ]


def short(name: str, longest: int = _LONGEST) -> str:
    """The end of a long path, which tells layers apart."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def number(value: float | None) -> str:
    """Three digits; "-" for what was not measured."""
    if value is None:
        return "-"
    return str(value) if not math.isfinite(value) else f"{value:.3g}"


def decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def share(value: float | None) -> str:
    """A share in percent, to a digit that tells it from none and from all."""
    if value is None:
        return "-"
    if 0 < value < 0.001 or 0.999 < value < 1:
        return f"{100 * value:.3g} %"
    return f"{100 * value:.1f} %"
