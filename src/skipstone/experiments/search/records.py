"""A search's files, plain data without torch.

search.json      what is searched: base spec, factors, seed, round; another search's folder is refused by it
trials.json      every trial's settings, written whole before the trial runs, and the seconds spent
trials/N/        a run folder each
finals/          a comparison: the finalists and the default over fresh seeds
found.json       what came of it
best.toml        the best finalist, as `skipstone train --recipe` takes it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from skipstone.core.codec import Json, decode, encode
from skipstone.experiments.search.space import Factor, place
from skipstone.experiments.statistics import Interval, Sample
from skipstone.runs.records import RunSpec, read_json
from skipstone.runs.stopping import StopRule

VERSION = 1
SEARCH_FILE, TRIALS_FILE, FOUND_FILE, BEST_FILE = "search.json", "trials.json", "found.json", "best.toml"
TRIALS_FOLDER, FINALS_FOLDER = "trials", "finals"
DEFAULT = "default"
"""The variant name of the spec that the search began from."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched. Trials are suggested `round` at a time, each knowing the rounds before; so which trials a
    search makes depends on nothing but this, however many run at once and however often it was cut."""

    base: RunSpec
    space: tuple[Factor, ...]
    seed: int = 0
    round: int = 4

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "Search":
        return decode(cls, data, version=VERSION, where=where)


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial: the values of the factors (none for the default), and the floors below which it is given up."""

    number: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    floors: tuple[float | None, ...] = ()

    def spec(self, base: RunSpec, out: Path) -> RunSpec:
        """Its run, which leaves the test images alone."""
        return replace(
            place(base, self.settings),
            out=str(out / TRIALS_FOLDER / f"{self.number:03}"),
            stop=StopRule(base.stop.patience, self.floors),
            test=False,
        )


@dataclass(frozen=True, slots=True)
class Trials:
    """Every trial so far; `seconds` is the wall time of the rounds that ended."""

    trials: tuple[Trial, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "Trials":
        return decode(cls, data, version=VERSION, where=where)


@dataclass(frozen=True, slots=True)
class Importance:
    """A factor's share of the variance of the trials' ranks: its `low` to `high` over resampled trials.

    `chance` is what the factor's share stays below in 95 % of the cases in which ranks are dealt out at random.
    """

    factor: str
    share: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True, slots=True)
class Finalist:
    """A trial trained again over fresh seeds. `difference` is its test accuracy less the default's, with the p that
    Holm's correction for all finalists left; `established` says that it is above the default's."""

    number: int
    settings: Mapping[str, Any]
    val_accuracy: Sample
    test_accuracy: Sample
    num_parameters: int
    difference: Interval
    p_corrected: float | None
    established: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a search.

    Accuracies are fractions. `num_given_up` trials ended below a floor, `num_failed` raised or were killed. The
    `finalists` were chosen by the validation accuracy of their trials, the best first by that over the fresh `seeds`;
    the test images had no part in either.
    """

    data: str
    epochs: int
    num_trials: int
    num_given_up: int
    num_failed: int
    seconds: float
    seeds: tuple[int, ...]
    default_val: Sample
    default_test: Sample
    finalists: tuple[Finalist, ...]
    importance: tuple[Importance, ...]
    recipe: str
    default_parameters: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def beats_default(self) -> bool:
        """Is the best finalist by validation established to be above the default in test accuracy?"""
        return bool(self.finalists) and self.finalists[0].established

    def to_dict(self) -> Json:
        return encode(self, version=VERSION)

    @classmethod
    def from_dict(cls, data: object, where: str = "") -> "Found":
        return decode(cls, data, version=VERSION, where=where)


def read_found(folder: str | Path) -> Found:
    """What a search in `folder` found; `RecordError` naming the file where there is none."""
    path = Path(folder) / FOUND_FILE
    return Found.from_dict(read_json(path), str(path))
