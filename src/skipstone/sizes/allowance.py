"""How long a search for legal sizes may take: seconds reckoned by the operations recorded, not read from a clock.

So a report is the same each time, on a busy machine too. Only where passes take several times as long as reckoned (a
forward that computes much between its operations) does the time of the processor end the search.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from skipstone.tracing.deadline import Moment

# Of a slow core, from passes at one size and at 512 and 4096 of them over networks of 170 to 8,400 nodes.
_SETTING_UP, _AT_ONE, _AT_MANY, _AT_EACH_OF_MANY = 1e-2, 3e-4, 8e-4, 1e-7
_OUT_BY = 4  # times: how far that may be wrong
_PATIENCE = 5.0  # seconds past its end that a pass may take before it is taken for one without end


def seconds_of(nodes: int, points: int = 0) -> float:
    """What a record of so many nodes takes, at one size or at that many points."""
    return _SETTING_UP + nodes * (_AT_MANY + _AT_EACH_OF_MANY * points if points else _AT_ONE)


@dataclass
class Allowance:
    """What is left of `seconds` for records; a part of another one spends from that as well."""

    seconds: float
    whole: Allowance | None = None
    spent: float = 0.0
    begun: Moment = field(default_factory=Moment.now)

    def part(self, share: float) -> Allowance:
        """A share of what is left, a little in any case."""
        return Allowance(max(0.05, share * self.left), self)

    def spend(self, nodes: int, points: int = 0) -> None:
        """For a record; see `seconds_of`."""
        allowance: Allowance | None = self
        while allowance is not None:
            allowance.spent += seconds_of(nodes, points)
            allowance = allowance.whole

    @property
    def left(self) -> float:
        return max(0.0, self.seconds - self.spent)

    @property
    def over(self) -> bool:
        return self.spent >= self.seconds or self.begun.spent() > _OUT_BY * self.seconds

    @property
    def for_a_pass(self) -> float:
        """Seconds after which a pass has no end."""
        return self.left + _PATIENCE
