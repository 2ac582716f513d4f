"""What a recorder does where torch refuses an operation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skipstone.core.graph import Place
from skipstone.graphs.operations import canonical
from skipstone.tracing.indices import Known, demand_in_range

Function = Callable[..., Any]


def _torch_itself(function: Function) -> Function:
    return function


@dataclass(frozen=True)
class Refusals:
    """Who judges an operation, and whether a pass goes on behind a refusal.

    With `go_on` a refused operation gets a result of an assumed shape: the n-th failure the one numbered `choices[n]`
    of those that could have been meant; where there is no choice for it the one of `places` for its line, else the
    first. Without, the refusal ends the pass.
    `judge` gives the function to call in a function's place: one that knows some results without asking torch.
    """

    go_on: bool = True
    choices: Sequence[int] = ()
    places: Mapping[Place | None, int] = field(default_factory=dict)
    judge: Callable[[Function], Function] = _torch_itself

    def choice(self, number: int, place: Place | None) -> int:
        return self.choices[number] if number < len(self.choices) else self.places.get(place, 0)

    def look_at(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], known: Known) -> None:
        """Refuse known indices out of range, where a refusal ends the pass. (Behind one, a rule tells of the table.)

        Raises:
            IndexError: see `demand_in_range`.
        """
        if not self.go_on:
            demand_in_range(canonical(name), args, kwargs, known)


GO_ON = Refusals()
STOP = Refusals(go_on=False)
