"""The worth of each skip of a trained network, as plain data."""

from dataclasses import dataclass

from skipstone.core.codec import Json, encode


@dataclass(frozen=True, slots=True)
class Measured:
    """Test accuracies as fractions. None: no batch norm to recalibrate, or no retraining asked for."""

    zero_shot: float
    recalibrated: float | None
    retrained: float | None

    @property
    def last(self) -> float:
        """The most adapted of the three."""
        known = [value for value in (self.retrained, self.recalibrated) if value is not None]
        return known[0] if known else self.zero_shot


@dataclass(frozen=True, slots=True)
class SkipWorth:
    """One skip and the network without it."""

    index: int
    kind: str
    merge: str
    source: str
    target: str
    without: Measured


@dataclass(frozen=True, slots=True)
class Worths:
    """Every skip's worth, the dearest first. One seed and one trained network: no spread is known."""

    data: str
    num_test: int
    epochs: int
    seed: int
    intact: Measured
    skips: tuple[SkipWorth, ...]

    def to_dict(self) -> Json:
        """As JSON, version 1."""
        return encode(self, version=1)

    def __str__(self) -> str:
        head = f"test accuracy in % on {self.num_test:,} images of {self.data}, one trained network, seed {self.seed}"
        again = f"retrained {self.epochs} ep." if self.epochs else "retrained"
        columns = f"{'':34}{'zero-shot':>12}{'recalibrated':>15}{again:>18}"
        lines = [head, columns, _row("nothing taken out", self.intact)]
        lines += [_row(f"#{s.index} {s.kind} {s.merge} {s.target}", s.without) for s in self.skips]
        return "\n".join(lines)


def _row(name: str, measured: Measured) -> str:
    cells = (measured.zero_shot, measured.recalibrated, measured.retrained)
    texts = ["-" if value is None else f"{100 * value:.2f}" for value in cells]
    return f"{name:34}{texts[0]:>12}{texts[1]:>15}{texts[2]:>18}"
