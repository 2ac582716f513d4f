"""Which input sizes a network takes: sets, a rule in words, and how far the answer goes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skipstone.core.codec import Json
from skipstone.core.graph import shape_text

VERSION = 1
_NEAREST = 2


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why some sizes are not legal: torch's words at the size `at`, and how many sizes share that path."""

    at: Mapping[str, int]
    num_sizes: int
    reason: str


@dataclass(frozen=True, slots=True)
class AxisSizes:
    """One free axis, the others held at `others`.

    `asked` are the sizes in question and `checked` those the answer speaks for; `legal` run and rest on no accidental
    broadcast, `broadcast` run only by one. `rule` and `broadcast_rule` say the two sets in words and are equal to them
    on `checked`. At the sizes `ran` a copy of the network was really run; with `doubted` some sizes are not known
    because real runs next to them differ from what the record of shapes allows.
    """

    symbol: str
    asked: frozenset[int]
    checked: frozenset[int]
    legal: frozenset[int]
    broadcast: frozenset[int]
    rule: str
    broadcast_rule: str
    others: Mapping[str, int] = field(default_factory=dict)
    ran: tuple[int, ...] = ()
    doubted: bool = False

    def nearest(self, size: int, count: int = _NEAREST) -> tuple[int, ...]:
        """The legal sizes nearest to `size`, in ascending order; of equally near ones the larger is kept."""
        return tuple(sorted(sorted(self.legal, key=lambda h: (abs(h - size), -h))[:count]))

    @property
    def legal_text(self) -> str:
        """`even h  (32 of 1..64)`; what was not reached is counted in `checked`."""
        known = "" if self.checked == self.asked else f", of the {len(self.checked)} checked"
        return f"{self.rule}  ({len(self.legal)} of {self.range_text}{known})"

    @property
    def range_text(self) -> str:
        return _range_text(self.asked)


@dataclass(frozen=True)
class SizeReport:
    """The answer of `legal_sizes`.

    With one free axis `legal`, `broadcast`, `checked` and `rule` are that axis's. With several, each axis has its own
    entry in `axes`, and `legal` and `broadcast` hold the combinations that were looked at (tuples in the order of
    `axes`), `checked` all of them; `independent` says whether a combination is legal exactly where each of its sizes is
    legal on its own, over all of these.
    """

    inputs: tuple[tuple[int | str, ...], ...]
    axes: tuple[AxisSizes, ...]
    method: str
    refusals: tuple[Refusal, ...] = ()
    legal_points: frozenset[tuple[int, ...]] = frozenset()
    broadcast_points: frozenset[tuple[int, ...]] = frozenset()
    checked_points: frozenset[tuple[int, ...]] = frozenset()
    independent: bool | None = None

    @property
    def legal(self) -> frozenset[Any]:
        return self.axes[0].legal if len(self.axes) == 1 else self.legal_points

    @property
    def broadcast(self) -> frozenset[Any]:
        return self.axes[0].broadcast if len(self.axes) == 1 else self.broadcast_points

    @property
    def checked(self) -> frozenset[Any]:
        return self.axes[0].checked if len(self.axes) == 1 else self.checked_points

    @property
    def rule(self) -> str:
        return "; ".join(axis.rule for axis in self.axes)

    @property
    def complete(self) -> bool:
        """Does the answer cover every size asked for, on every axis?"""
        return all(axis.checked == axis.asked for axis in self.axes)

    def __getitem__(self, symbol: str) -> AxisSizes:
        for axis in self.axes:
            if axis.symbol == symbol:
                return axis
        raise KeyError(f"no free axis {symbol!r}; free: {', '.join(axis.symbol for axis in self.axes)}")

    def nearest(self, size: int, count: int = _NEAREST) -> tuple[int, ...]:
        """Of a report with one free axis: see `AxisSizes.nearest`."""
        return self.axes[0].nearest(size, count)

    def lines(self) -> tuple[tuple[str, str], ...]:
        """The report as pairs of a heading and a text."""
        shapes = ", ".join(shape_text(shape) for shape in self.inputs)  # type: ignore[arg-type]
        found = [("input", shapes)]
        for axis in self.axes:
            held = ", ".join(f"{name} = {size}" for name, size in axis.others.items())
            name = f" {axis.symbol}" + (f" (at {held})" if held else "") if len(self.axes) > 1 else ""
            found.append((f"legal{name}", axis.legal_text))
            if axis.broadcast:
                found.append((f"broadcast{name}", f"{axis.broadcast_rule}: runs only by an accidental broadcast"))
            if axis.checked != axis.asked:
                why = ": real runs refused some like them" if axis.doubted else " were not reached in time"
                missing = len(axis.asked) - len(axis.checked)
                found.append((f"not known{name}", f"{missing} of {len(axis.asked)} sizes{why}"))
            if axis.ran:
                found.append((f"really run{name}", f"at {axis.symbol} = {in_words(in_rows(axis.ran))}"))
        if self.independent is not None:
            found.append(("jointly", self._jointly()))
        found += [("refused", refusal_text(refusal)) for refusal in self.refusals]
        return (*found, ("method", self.method))

    def _jointly(self) -> str:
        count = len(self.checked_points)
        if self.independent:
            return f"legal exactly where each axis is, at all {count} combinations checked"
        odd = next((point for point in sorted(self.checked_points) if not self._fits(point)), None)
        return f"the axes depend on each other, as at {odd} ({count} combinations checked)"

    def _fits(self, point: tuple[int, ...]) -> bool:
        alone = all(size in axis.legal for size, axis in zip(point, self.axes, strict=True))
        return alone == (point in self.legal_points)

    def __str__(self) -> str:
        lines = self.lines()
        width = max(len(head) for head, _ in lines)
        return "\n".join(f"{head:<{width}}  {text}" for head, text in lines)

    def __rich__(self) -> object:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for head, text in self.lines():
            table.add_row(Text(head, style="bold green" if head.startswith("legal") else "bold"), Text(text))
        return table

    def to_dict(self) -> Json:
        return {
            "schema": "skipstone.SizeReport",
            "version": VERSION,
            "inputs": [list(shape) for shape in self.inputs],
            "axes": [
                {
                    "symbol": axis.symbol,
                    "asked": sorted(axis.asked),
                    "checked": sorted(axis.checked),
                    "legal": sorted(axis.legal),
                    "broadcast": sorted(axis.broadcast),
                    "rule": axis.rule,
                    "broadcast_rule": axis.broadcast_rule,
                    "others": dict(axis.others),
                    "ran": list(axis.ran),
                }
                for axis in self.axes
            ],
            "independent": self.independent,
            "refusals": [{"at": dict(r.at), "num_sizes": r.num_sizes, "reason": r.reason} for r in self.refusals],
            "method": self.method,
        }


def refusal_text(refusal: Refusal) -> str:
    at = ", ".join(f"{name} = {size}" for name, size in refusal.at.items())
    others = f" and {refusal.num_sizes - 1} more" if refusal.num_sizes > 1 else ""
    return f"{at}{others}: {refusal.reason}"


def in_rows(numbers: Sequence[int]) -> list[str]:
    """Ascending numbers with three or more in a row shortened: `0`, `4..7`."""
    pieces: list[str] = []
    start = 0
    for i in range(1, len(numbers) + 1):
        if i == len(numbers) or numbers[i] != numbers[i - 1] + 1:
            row = numbers[start:i]
            pieces += [f"{row[0]}..{row[-1]}"] if len(row) > 2 else map(str, row)
            start = i
    return pieces


def in_words(pieces: Sequence[object]) -> str:
    """`3`, `3 and 4`, `3, 4 and 9`."""
    *most, last = map(str, pieces)
    return f"{', '.join(most)} and {last}" if most else last


def _range_text(sizes: frozenset[int]) -> str:
    low, high = min(sizes), max(sizes)
    if len(sizes) == high - low + 1:
        return f"{low}..{high}" if high > low else f"{low}"
    return f"{len(sizes)} sizes in {low}..{high}"
