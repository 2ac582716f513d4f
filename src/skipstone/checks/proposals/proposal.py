"""A proposed repair, not verified yet."""

from dataclasses import dataclass

from skipstone.core.edit import Edits


@dataclass(frozen=True, slots=True)
class Proposal:
    """Edits, their title and effect in words. `keeps_output`: a network that ran gives the same output as before."""

    title: str
    edits: Edits
    effect: str
    keeps_output: bool = False
