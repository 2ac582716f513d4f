"""What a claim is: a statement, and the predictions that follow from it, each about one number of two networks.

Predictions are data, written down before anything is trained. What came of one is its `Evidence`; the claim's verdict
is computed from its evidence (`verdict`) and stands in no file.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from skipstone.core.errors import SkipstoneError
from skipstone.experiments.plan import RUNS_FOLDER, folder_name
from skipstone.experiments.search.space import place
from skipstone.runs.records import RunSpec

Unit = Literal["%", "nats", "epochs", "decades", "times", "parameters", "channels", "weights"]
"""Of a measure: `%` are fractions told in percent, decades the logarithm to base 10, times a plain ratio."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Under what claims are tried: what all of their runs share. `width` is that of a network's first stage."""

    data: str = "digits"
    epochs: int = 15
    seeds: int = 6
    width: int = 8
    data_dir: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("epochs", "seeds", "width"):
            if getattr(self, name) < 1:
                raise SkipstoneError(f"{name} is {getattr(self, name)}, expected at least 1")

    def base(self) -> RunSpec:
        return RunSpec(
            data=self.data, data_dir=self.data_dir, epochs=self.epochs, device=self.device,
            options={"width": self.width},
        )  # fmt: skip


SETTINGS = {"digits": Setting(), "cifar10": Setting("cifar10", epochs=30, width=16)}
"""By data set: what claims are tried under unless something else is asked for."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of one run. `take(spec)` reads it from the run's folder, or, not `trained`, from the network as built.

    `exact`: it depends on no chance, so that values are compared as they are. `bound`: two values differ by at most so
    much.
    """

    name: str
    unit: Unit
    take: Callable[[RunSpec], float]
    trained: bool = True
    exact: bool = False
    bound: float = math.inf


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a prediction: a reference network with `settings` (options, or fields of the recipe, by name).

    `eighths` times an eighth of the setting's width is its own. `val_fraction` is the share of training images that it
    is not trained on, where that is not the setting's.
    """

    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    eighths: int = 8
    val_fraction: float | None = None

    def spec(self, setting: Setting, out: Path, seed: int) -> RunSpec:
        """The run of one seed, in its folder under `out`."""
        base = setting.base()
        if self.val_fraction is not None:
            base = replace(base, val_fraction=self.val_fraction)
        placed = place(base, {"model": self.model, "width": self._width(setting), **self.settings})
        return replace(placed, seed=seed, out=str(out / RUNS_FOLDER / folder_name(self.label(setting), seed)))

    def label(self, setting: Setting) -> str:
        """What it is called: the network, and where it departs from the setting."""
        own = dict(self.settings) if self.eighths == 8 else {"width": self._width(setting), **self.settings}
        held = [] if self.val_fraction is None else [f"held-out={self.val_fraction:g}"]
        return " ".join([self.model, *(f"{key}={value}" for key, value in own.items()), *held])

    def _width(self, setting: Setting) -> int:
        return setting.width * self.eighths // 8


Side = Arm | float
"""What a prediction compares: a network, or a number known beforehand."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Under `condition` the measure of `greater` exceeds that of `lesser`; by more than -`margin` for "no worse".

    `paired`: for one seed both sides start from the same weights and see the same batches.
    """

    condition: str
    measure: Measure
    greater: Side
    lesser: Side
    margin: float = 0.0
    paired: bool = False

    @property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(side for side in (self.greater, self.lesser) if isinstance(side, Arm))


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of the tutorials (`said`), where it comes from, how it is tested (`tested`), and the predictions.

    A condition holds where all of its predictions come out; the claim holds where all conditions do.
    """

    name: str
    said: str
    source: str
    tested: str
    predictions: tuple[Prediction, ...]
