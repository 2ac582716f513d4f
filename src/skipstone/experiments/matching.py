"""Equal means for unequal networks: epochs chosen so that every network trains for as much work, or as long.

At equal epochs a deeper or wider network gets more multiply-adds and more time than the one it is compared with. Which
of the three is fair depends on the question; all are asked for by name and told with the result.
"""

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

    `first_epochs` are those asked for, of the network named first; `epochs` those of each network, by its label.
    """

    by: Match
    first_epochs: int
    epochs: Mapping[str, int]

    def to_dict(self) -> Json:
        return encode(self, version=_VERSION)


def matched(specs: Sequence[RunSpec], by: Match, out: str | Path, *, keep: bool = True) -> tuple[RunSpec, ...]:
    """These specs with epochs such that each network has the first one's training multiply-adds, or time, as nearly as
    whole epochs allow, and at least one.

    Multiply-adds are those of a forward pass over the training images; time is that of a run, measured by a few steps
    in a process with one thread. `matching.json` in `out` keeps what came of it, unless `keep` is False.

    Raises:
        SkipstoneError: a network can't be trained, or its multiply-adds are not known; or `out` holds another matching.
    """
    if by == "epochs":
        return tuple(specs)
    varied = varied_options([spec.options for spec in specs])
    labels = [label_of(spec, varied) for spec in specs]
    file = Path(out) / MATCHING_FILE
    if file.is_file():
        found = decode(Matching, read_json(file), version=_VERSION, where=str(file))
        if (found.by, found.first_epochs, set(found.epochs)) != (by, specs[0].epochs, set(labels)):
            raise SkipstoneError(f"{out} holds runs that were matched otherwise ({found.by}); choose another folder")
    else:
        found = Matching(by, specs[0].epochs, _measured(specs, by))
        if keep:
            write_json(file, found.to_dict())
    return tuple(replace(spec, epochs=found.epochs[label]) for spec, label in zip(specs, labels, strict=True))


def _measured(specs: Sequence[RunSpec], by: Match) -> dict[str, int]:
    costs = {}
    for network in forecast(specs, workers=1).networks:
        if network.cost is None:
            raise SkipstoneError(f"{network.label} cannot be matched: {network.note}")
        costs[network.label] = network.cost.macs if by == "macs" else network.cost.seconds
        if not costs[network.label]:
            raise SkipstoneError(f"{network.label} cannot be matched: its {by} are not known; match by time")
    first = next(iter(costs.values()))
    return {label: max(1, round(specs[0].epochs * first / cost)) for label, cost in costs.items()}
