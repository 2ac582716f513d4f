"""Equal means for unequal networks: epochs chosen so that every network trains for as much work, or as long.

At equal epochs a deeper or wider network gets more multiply-adds and more time than the one it is compared with. Which
of the three is fair depends on the question; all are asked for by name and told with the result.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from skipstone.core.codec import Json, decode, encode
from skipstone.core.errors import SkipstoneError
from skipstone.experiments.comparing import write_json
from skipstone.experiments.comparison import Match
from skipstone.experiments.forecast import forecast
from skipstone.experiments.plan import label_of, varied_options
from skipstone.runs.records import RunSpec, read_json

MATCHING_FILE = "matching.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Matching:
    """What was measured once, and stands from then on: a network's epochs do not change when a command is run again.

    `first_epochs` are those asked for, of the network named first; `epochs` those of each network, by its label. With a
    `budget`, the seconds a run may take, nobody's epochs were asked for, and `first_epochs` is 0.
    """

    by: Match
    first_epochs: int
    epochs: Mapping[str, int]
    budget: float | None = None

    def to_dict(self) -> Json:
        return encode(self, version=_VERSION)


def matched(
    specs: Sequence[RunSpec], by: Match, out: str | Path, *, budget: float | None = None, keep: bool = True
) -> tuple[RunSpec, ...]:
    """These specs with epochs such that each network has the first one's training multiply-adds, or time, as nearly as
    whole epochs allow, and at least one; with a `budget` such that a run of each takes so many seconds.

    Multiply-adds are those of a forward pass over the training images; time is that of a run, measured by a few steps
    in a process with one thread. `matching.json` in `out` keeps what came of it, unless `keep` is False.

    Raises:
        SkipstoneError: a network can't be trained, its multiply-adds are not known, or an epoch of it takes longer than
            the budget; or `out` holds another matching.
    """
    if budget is not None and by != "time":
        raise SkipstoneError(f"a budget is of time, and the networks are matched by {by}")
    if budget is not None and not 0 < budget < math.inf:
        raise SkipstoneError(f"the budget is {budget:g} s, expected more than 0, and finite")
    if by == "epochs":
        return tuple(specs)
    varied = varied_options([spec.options for spec in specs])
    labels = [label_of(spec, varied) for spec in specs]
    asked = 0 if budget is not None else specs[0].epochs
    file = Path(out) / MATCHING_FILE
    if file.is_file():
        found = decode(Matching, read_json(file), version=_VERSION, where=str(file))
        if (found.by, found.first_epochs, found.budget, set(found.epochs)) != (by, asked, budget, set(labels)):
            raise SkipstoneError(f"{out} holds runs that were matched otherwise ({found.by}); choose another folder")
    else:
        costs = _costs(specs, by)
        epochs = _as_the_first(costs, specs[0].epochs) if budget is None else _within(costs, specs[0].epochs, budget)
        found = Matching(by, asked, epochs, budget)
        if keep:
            write_json(file, found.to_dict())
    return tuple(replace(spec, epochs=found.epochs[label]) for spec, label in zip(specs, labels, strict=True))


def _costs(specs: Sequence[RunSpec], by: Match) -> dict[str, float]:
    """What a run of each network costs with the epochs that its spec has, by its label."""
    costs: dict[str, float] = {}
    for network in forecast(specs, workers=1).networks:
        if network.cost is None:
            raise SkipstoneError(f"{network.label} cannot be matched: {network.note}")
        costs[network.label] = network.cost.macs if by == "macs" else network.cost.seconds
        if not costs[network.label]:
            raise SkipstoneError(f"{network.label} cannot be matched: its {by} are not known; match by time")
    return costs


def _as_the_first(costs: Mapping[str, float], epochs: int) -> dict[str, int]:
    first = next(iter(costs.values()))
    return {label: max(1, round(epochs * first / cost)) for label, cost in costs.items()}


def _within(costs: Mapping[str, float], epochs: int, budget: float) -> dict[str, int]:
    """As many whole epochs as the budget has room for."""
    for label, cost in costs.items():
        if cost / epochs > budget:
            raise SkipstoneError(
                f"the budget of {budget:g} s has no room for an epoch of {label}, which takes {cost / epochs:.0f} s"
            )
    return {label: int(epochs * budget / cost) for label, cost in costs.items()}
