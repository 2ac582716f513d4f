"""What a recorder does where torch refuses an operation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Function = Callable[..., Any]


def _torch_itself(function: Function) -> Function:
    return function


@dataclass(frozen=True)
class Refusals:
    """Who judges an operation, and whether a pass goes on behind a refusal.

    With `go_on` a refused operation gets a result of an assumed shape: the n-th failure the one numbered `choices[n]`
    of those that could have been meant, the first where there is no choice for it. Without, the refusal ends the pass.
    `judge` gives the function to call in a function's place: one that knows some results without asking torch.
    """

    go_on: bool = True
    choices: Sequence[int] = ()
    judge: Callable[[Function], Function] = _torch_itself

    def choice(self, number: int) -> int:
        return self.choices[number] if number < len(self.choices) else 0


GO_ON = Refusals()
STOP = Refusals(go_on=False)
