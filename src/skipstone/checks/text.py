"""Findings as text, in the manner of a good compiler's."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from skipstone.core.finding import Branch, Finding, LedgerStep, Repair, SizeSummary
from skipstone.core.graph import shape_text
from skipstone.core.skip import Skip

_WIDTH = 100


def finding_text(finding: Finding, root: str = "forward") -> str:
    """One finding: the fact and its place, the ledger, legal sizes, notes, repairs. `root` names the model itself."""
    return "\n".join(_lines(finding, root))


def _lines(finding: Finding, root: str) -> Iterator[str]:
    head = f"{finding.code}  {finding.severity}: {finding.message}"
    where = ", ".join(filter(None, (finding.module or root, str(finding.place or ""))))
    yield f"{head:<{_WIDTH - len(where) - 2}}  {where}"
    if finding.branches:
        yield from _ledger(finding.branches)
    elif finding.operands:
        yield f"  shapes    {' and '.join(map(shape_text, finding.operands))}"
    for sizes in finding.sizes:
        yield from _wrapped(_sizes(sizes))
    for note in finding.notes:
        yield from _wrapped(f"  note: {note}")
    for repair in finding.repairs[:1]:
        yield from _wrapped(_repair(repair))
    others = [repair.title for repair in finding.repairs[1:]]
    if others:
        yield from _wrapped(f"  or: {'; '.join(others)}")


def _wrapped(line: str) -> list[str]:
    """No wider than the ledger usually is; what follows stands in."""
    return textwrap.wrap(line, _WIDTH + 12, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _ledger(branches: tuple[Branch, ...]) -> Iterator[str]:
    rows: list[tuple[str, str, str, str]] = []
    for branch in branches:
        first = (f"{branch.label:<9}", f"{shape_text(branch.shape)}")
        if not branch.steps:
            rows.append((*first, "", "unchanged"))
        for number, step in enumerate(branch.steps):
            lead = first if number == 0 else ("", "")
            mark = "   <- they part here" if branch.parts_at == number else ""
            rows.append((*lead, _change(step), f"{step.label}{f' {step.rounding}' if step.rounding else ''}{mark}"))
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    for row in rows:
        yield (
            "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) + f"  {row[3]}"
        ).rstrip()


def _change(step: LedgerStep) -> str:
    """What a layer does to the sizes: the changed axes alone, `15x15 -> 8x8`, one number where they are alike."""
    if len(step.before) != len(step.after):
        return f"{shape_text(step.before)} -> {shape_text(step.after)}"
    axes = [axis for axis in range(len(step.after)) if step.before[axis] != step.after[axis]]
    before = list(dict.fromkeys(step.before[axis] for axis in axes))
    after = list(dict.fromkeys(step.after[axis] for axis in axes))
    if len(before) == len(after) == 1:
        return f"{before[0]} -> {after[0]}"
    return f"{'x'.join(str(step.before[a]) for a in axes)} -> {'x'.join(str(step.after[a]) for a in axes)}"


def _sizes(sizes: SizeSummary) -> str:
    near = f"; nearest to {sizes.asked}: {', '.join(map(str, sizes.nearest))}" if sizes.nearest else ""
    broadcast = f". Runs only by broadcasting: {sizes.broadcast}" if sizes.broadcast else ""
    return f"  legal sizes: {sizes.rule} ({sizes.method}){near}{broadcast}"


def _repair(repair: Repair) -> str:
    return f"  repair: {repair.title} - {repair.effect}; {repair.cost.num_parameters:+,} parameters"


SKIP_COLUMNS = ("#", "kind", "merge", "from", "into", "span", "shortcut", "place")


def skip_rows(skips: Sequence[Skip]) -> list[tuple[str, ...]]:
    """One row a skip, under `SKIP_COLUMNS`."""
    return [
        (
            str(skip.index),
            skip.kind,
            skip.merge,
            skip.source,
            skip.target,
            str(skip.span),
            ", ".join(skip.shortcut_ops) or "-",
            f"{PurePath(skip.file).name}:{skip.line}" if skip.file else "",
        )
        for skip in skips
    ]
